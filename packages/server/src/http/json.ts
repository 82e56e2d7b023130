/** A JSON answer with the Content-Type that registries have always given, to the letter. */
export function jsonResponse(value: unknown, headers: Headers = new Headers()): Response {
  headers.set("Content-Type", "application/json; charset=utf-8");
  return new Response(JSON.stringify(value), { headers });
}
