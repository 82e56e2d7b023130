import { generateSpecs } from "hono-openapi";
import { jsonResponse } from "../json.ts";
import type { Api } from "./api-request.ts";

const DOCUMENT = {
  openapi: "3.1.0",
  info: {
    title: "Stowage management API",
    version: "1",
    description:
      "Repositories, tags, what deletions free, undo, and the collector. Names contain slashes, which may be sent as they are or as %2F; `/-/` ends a name. Changes need Content-Type application/json when they have a body, and are not accepted from the pages of another site.",
  },
};

/** `GET /openapi.json`: the document, made of the routes and their schemas when it is first asked for. */
export function addOpenApi(api: Api): void {
  let text: Promise<unknown> | null = null;
  api.get("/openapi.json", async () => {
    text ??= describeRoutes(api);
    return jsonResponse(await text);
  });
}

/** The OpenAPI document of the routes. */
export async function describeRoutes(api: Api): Promise<unknown> {
  return await generateSpecs(api, { documentation: DOCUMENT, defaultValidationErrorResponse: false });
}
