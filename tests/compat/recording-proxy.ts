/** What a client asked, and what it was answered. */
export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** `Basic`, `Bearer`, or null without credentials. */
  readonly scheme: string | null;
  /** Value of WWW-Authenticate, or null. */
  readonly challenge: string | null;
  /** Scopes that a token was asked for, in the order and form they came; empty for other requests. */
  readonly scopes: readonly string[];
  /** Everything that a token request said besides scopes and secrets. */
  readonly asked: Readonly<Record<string, string>>;
}

export interface RecordingProxyOptions {
  /** Bytes of a request body that go on each second; without it nothing is held back. */
  readonly bytesPerSecond?: number;
}

/** Every how many milliseconds bytes of a slow body go on. */
const TICK_MS = 50;

const SECRETS = ["password", "refresh_token", "subject_token"];

/**
 * Stands between a client and the registry, and writes down what they say. The client's Host header passes as it is, so
 * the registry names the proxy's address where it names its own.
 */
export class RecordingProxy implements AsyncDisposable {
  readonly recorded: Recorded[] = [];
  readonly #server: Bun.Server<undefined>;

  constructor(upstream: string, options: RecordingProxyOptions = {}) {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      maxRequestBodySize: 2 ** 40,
      fetch: (request) => this.#pass(request, upstream, options),
    });
  }

  get host(): string {
    return `127.0.0.1:${this.#server.port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  /** What was said while `work` ran. */
  async during(work: () => Promise<unknown>): Promise<readonly Recorded[]> {
    const from = this.recorded.length;
    await work();
    return this.recorded.slice(from);
  }

  async #pass(request: Request, upstream: string, options: RecordingProxyOptions): Promise<Response> {
    // Behind "http://", the host and its slash.
    const target = request.url.slice(request.url.indexOf("/", "http://".length));
    const [path = "", query = ""] = target.split(/\?(.*)/s);
    const isToken = path === "/token";
    const form = isToken && request.method === "POST" ? await request.text() : null;
    const body = form ?? slowed(request.body, options.bytesPerSecond ?? null);
    const response = await fetch(`${upstream}${target}`, {
      method: request.method,
      headers: request.headers,
      body,
      redirect: "manual",
      decompress: false,
      timeout: false,
    });
    const asked = new URLSearchParams(isToken ? (form ?? query) : "");
    this.recorded.push({
      method: request.method,
      path: isToken ? path : target,
      status: response.status,
      scheme: request.headers.get("Authorization")?.split(" ")[0] ?? null,
      challenge: response.headers.get("WWW-Authenticate"),
      scopes: asked.getAll("scope"),
      asked: Object.fromEntries([...asked].filter(([name]) => name !== "scope" && !SECRETS.includes(name))),
    });
    // The length of what is not there has to pass as well.
    const answered = request.method === "HEAD" ? null : response.body;
    return new Response(answered, { status: response.status, headers: response.headers });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}

/** `<method> <grant> <scopes> <status>` of each request for a token. */
export function tokenRequests(requests: readonly Recorded[]): string[] {
  return requests
    .filter(({ path }) => path === "/token")
    .map(({ method, asked, scopes, status }) =>
      [method, asked.grant_type ?? "-", ...scopes, status].join(" "),
    );
}

/** The same bytes, so many a second; null leaves them as they come. */
function slowed(
  body: ReadableStream<Uint8Array> | null,
  bytesPerSecond: number | null,
): ReadableStream<Uint8Array> | null {
  if (body === null || bytesPerSecond === null) return body;
  const piece = Math.max(1, Math.floor((bytesPerSecond * TICK_MS) / 1_000));
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      async transform(chunk, controller) {
        for (let at = 0; at < chunk.byteLength; at += piece) {
          controller.enqueue(chunk.subarray(at, at + piece));
          await Bun.sleep(TICK_MS);
        }
      },
    }),
  );
}
