import { jsonResponse } from "../json.ts";

/** `GET /v2/`: says that this is a registry. The body is the one that every registry has given since 2015. */
export async function getBase(): Promise<Response> {
  return jsonResponse({});
}
