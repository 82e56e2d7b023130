import { RegistryError } from "@stowage/oci/errors";
import type { Auth } from "../../auth/auth.ts";
import { jsonResponse } from "../json.ts";

/** Where the public keys are: the place that RFC 8414 documents usually point at. */
export const KEYS_PATH = "/.well-known/jwks.json";

/** The public keys of our registry tokens, for those who verify them elsewhere (RFC 7517 section 5). */
export async function answerKeys(request: Request, { keys }: Auth): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw new RegistryError("UNSUPPORTED", { message: "wanted GET", headers: { Allow: "GET, HEAD" } });
  }
  // A verifier that knows no key yet shall find the one that the first token will have.
  await keys.signer();
  const response = jsonResponse(await keys.publicKeys());
  response.headers.set("Cache-Control", "max-age=300");
  return response;
}
