import { readText } from "@stowage/client/answers";

/** Longest answer, in bytes. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** An answer of the registry that says no. */
export class ApiError extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

export type Method = "GET" | "PUT" | "POST" | "DELETE";

/**
 * A request to the management API, `path` below its root; resolves with what it answers, and tells `seen` its headers.
 * @throws ApiError when it says no
 */
export type Call = (method: Method, path: string, body?: unknown, extra?: Extra) => Promise<unknown>;

export interface Extra {
  readonly headers?: Readonly<Record<string, string>>;
  readonly seen?: (headers: Headers) => void;
}

/** Calls through `send`; `root` is the registry's address without a slash at the end. */
export function callWith(
  send: (request: Request) => Promise<Response>,
  {
    root,
    headers: always = {},
  }: { readonly root: string; readonly headers?: Readonly<Record<string, string>> } = {
    root: "http://stowage",
  },
): Call {
  return async (method, path, body, { headers = {}, seen } = {}) => {
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await send(
      new Request(`${root}/api/v1${path}`, {
        method,
        headers: { "Content-Type": "application/json", ...always, ...headers },
        // Credentials go to the registry that was named, and nowhere else.
        redirect: "error",
        ...init,
      }),
    );
    const text = await readText(response, { bytesMax: ANSWER_BYTES_MAX, operation: `ask ${root}` });
    const answer = readJson(text);
    if (!response.ok) {
      throw new ApiError(messageOf(answer) ?? `the registry answered ${response.status}`, response.status);
    }
    if (answer === null && text !== "")
      throw new ApiError("what answers there is no registry", response.status);
    seen?.(response.headers);
    return answer;
  };
}

function readJson(text: string): unknown {
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

function messageOf(answer: unknown): string | null {
  if (
    typeof answer !== "object" ||
    answer === null ||
    !("errors" in answer) ||
    !Array.isArray(answer.errors)
  ) {
    return null;
  }
  const [first]: unknown[] = answer.errors;
  const isError = typeof first === "object" && first !== null && "message" in first && "code" in first;
  if (!isError || typeof first.message !== "string" || typeof first.code !== "string") return null;
  return `${first.message} (${first.code})`;
}
