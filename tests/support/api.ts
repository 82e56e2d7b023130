import type { RequestParts, TestApp } from "./test-app.ts";

export interface Answer {
  readonly status: number;
  /** The JSON of the body; null without one. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Headers;
  /** Code of the first error, or null. */
  readonly code: string | null;
  /** Message of the first error, or empty. */
  readonly message: string;
}

/** Sends a request to the management API with a JSON body. */
export async function api(
  app: TestApp,
  method: string,
  path: string,
  { body, ...parts }: Omit<RequestParts, "body"> & { readonly body?: unknown } = {},
): Promise<Answer> {
  const sent = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
  const headers = { "Content-Type": "application/json", ...parts.headers };
  const response = await app.request(method, `/api/v1${path}`, { ...parts, ...sent, headers });
  const text = await response.text();
  const answer = (text === "" ? {} : JSON.parse(text)) as Readonly<Record<string, unknown>>;
  const errors = answer.errors as readonly { code: string; message: string }[] | undefined;
  return {
    status: response.status,
    body: answer,
    headers: response.headers,
    code: errors?.[0]?.code ?? null,
    message: errors?.[0]?.message ?? "",
  };
}
