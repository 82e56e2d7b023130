import { isObject } from "@stowage/oci/descriptor";
import { ClientError, type ClientErrorKind } from "./client-error.ts";
import { piecesOf } from "./streams.ts";
import { parseRetryAfter } from "./wait.ts";

/** Longest body of an error that is read, in bytes, and longest message that is shown, in characters. */
const ERROR_BYTES_MAX = 64 * 1024;
const MESSAGE_LENGTH_MAX = 1_000;

/** Longest that a small answer may take from its header to its end, in milliseconds. */
const ANSWER_MS_MAX = 300_000;

const KINDS: Readonly<Record<number, ClientErrorKind>> = {
  400: "invalid",
  401: "unauthenticated",
  403: "denied",
  404: "not-found",
  409: "conflict",
  412: "conflict",
  429: "limited",
};

/** The error that an answer is; reads its body. */
export async function readError(response: Response, operation: string): Promise<ClientError> {
  const { status, headers } = response;
  const text = await readText(response, { bytesMax: ERROR_BYTES_MAX, operation }).catch(() => "");
  const first = firstError(text);
  const message = first?.message ?? (response.statusText || "no reason given");
  const said = first?.code === undefined ? String(status) : `${first.code}, ${status}`;
  // The bytes are not what their digest says: the registry noticed it first.
  const kind =
    first?.code === "DIGEST_INVALID" ? "mismatch" : (KINDS[status] ?? (status >= 500 ? "server" : "refused"));
  return new ClientError(kind, `${message} (${said})`, {
    status,
    operation,
    code: first?.code ?? null,
    retryAfterSeconds: parseRetryAfter(headers.get("Retry-After"), headers.get("Date")),
  });
}

/** The whole body of a small answer, as text. @throws ClientError when it is longer than `bytesMax` */
export async function readText(
  response: Response,
  limits: { readonly bytesMax: number; readonly operation: string },
): Promise<string> {
  return new TextDecoder().decode(await readBytes(response, limits));
}

/** The whole body of a small answer. @throws ClientError when it is longer than `bytesMax`, or does not come to an end */
export async function readBytes(
  response: Response,
  { bytesMax, operation }: { readonly bytesMax: number; readonly operation: string },
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  const signal = AbortSignal.timeout(ANSWER_MS_MAX);
  try {
    const body = (response.body ?? new Blob().stream()).pipeThrough(new TransformStream(), { signal });
    for await (const piece of piecesOf(body)) {
      pieces.push(piece);
      length += piece.byteLength;
      if (length > bytesMax) break;
    }
  } catch (cause) {
    throw new ClientError("network", "the answer broke off", { operation, cause });
  }
  if (length > bytesMax) {
    throw new ClientError("server", `more than ${bytesMax} bytes came`, { operation });
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** The first error of the envelope (OCI Distribution Specification, "Error Codes"), or OAuth2's form of one. */
function firstError(text: string): { readonly code?: string; readonly message: string } | null {
  const body = jsonOf(text);
  if (!isObject(body)) return null;
  const [first]: unknown[] = Array.isArray(body.errors) ? body.errors : [];
  const named = isObject(first)
    ? first
    : { code: body.error, message: body.error_description ?? body.details };
  const code = typeof named.code === "string" && named.code !== "" ? { code: named.code } : null;
  const message = typeof named.message === "string" && named.message !== "" ? named.message : code?.code;
  return message === undefined ? null : { ...code, message: message.slice(0, MESSAGE_LENGTH_MAX) };
}

/** What a text says as JSON; undefined when it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
