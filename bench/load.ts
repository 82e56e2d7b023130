/** The same request again and again. */
export interface LoadRequest {
  readonly url: string;
  readonly method: "GET" | "HEAD";
  readonly accept: string;
  readonly connections: number;
  readonly seconds: number;
  /** Value of the header Authorization, if it is sent; wrk alone sends one. */
  readonly authorization?: string;
}

const WRK = Bun.which("wrk");
const HEY = Bun.which("hey");

/** An answer slower than this counts as none, in seconds. */
const TIMEOUT_SECONDS = 60;

type Client = "wrk" | "hey" | "built-in";

/** wrk waits for the body that Content-Length promises, so it cannot do HEAD. */
function clientFor(method: LoadRequest["method"]): Client {
  if (WRK !== null && method === "GET") return "wrk";
  return HEY === null ? "built-in" : "hey";
}

/** Which client makes which load, for the report. */
export function describeClients(): string {
  return `GET: ${clientFor("GET")}, HEAD: ${clientFor("HEAD")}, writes: built-in (fetch), big blobs: curl`;
}

/** Requests per second over kept-alive connections. @throws Error when one of the answers was not 200 */
export async function requestsPerSecond(request: LoadRequest): Promise<number> {
  const client = clientFor(request.method);
  switch (client) {
    case "wrk":
      return await runWrk(WRK ?? "wrk", request);
    case "hey":
      return await runHey(HEY ?? "hey", request);
    case "built-in":
      return await runBuiltIn(request);
    default:
      return client satisfies never;
  }
}

async function runWrk(wrk: string, request: LoadRequest): Promise<number> {
  const { url, accept, connections, seconds, authorization } = request;
  const size = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", `${TIMEOUT_SECONDS}s`];
  const credentials = authorization === undefined ? [] : ["-H", `Authorization: ${authorization}`];
  const text = await output([wrk, ...size, "-H", `Accept: ${accept}`, ...credentials, url]);
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(`wrk on "${url}" failed:\n${text}`);
  return requireRate(/Requests\/sec:\s*([\d.]+)/.exec(text)?.[1], text);
}

async function runHey(hey: string, request: LoadRequest): Promise<number> {
  const { url, method, accept, connections, seconds } = request;
  const size = ["-c", String(connections), "-z", `${seconds}s`, "-t", String(TIMEOUT_SECONDS)];
  const text = await output([hey, ...size, "-m", method, "-A", accept, url]);
  const statuses = [...text.matchAll(/^\s*\[(\d{3})\]\s+\d+ responses$/gm)].map((match) => match[1]);
  if (statuses.length !== 1 || statuses[0] !== "200") throw new Error(`hey on "${url}" failed:\n${text}`);
  return requireRate(/Requests\/sec:\s*([\d.]+)/.exec(text)?.[1], text);
}

async function runBuiltIn({ url, method, accept, connections, seconds }: LoadRequest): Promise<number> {
  const startedAt = performance.now();
  const until = startedAt + seconds * 1_000;
  let answered = 0;
  const connection = async () => {
    while (performance.now() < until) {
      const response = await fetch(url, { method, headers: { Accept: accept } });
      await response.arrayBuffer();
      if (response.status !== 200) throw new Error(`${method} "${url}" gave ${response.status}, wanted 200`);
      answered += 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, connection));
  return (answered * 1_000) / (performance.now() - startedAt);
}

function requireRate(text: string | undefined, all: string): number {
  const rate = Number(text ?? "0");
  if (rate > 0) return rate;
  throw new Error(`the load client measured nothing:\n${all}`);
}

/** Standard output of a program. @throws Error when it fails */
export async function output(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [text, problems] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (child.exitCode === 0) return text;
  throw new Error(`"${command.join(" ")}" ended with ${child.exitCode}:\n${problems}`);
}

/** Runs `work` on all items, `connections` of them at a time, and resolves with the seconds it took. */
export async function secondsFor<T>(
  items: readonly T[],
  connections: number,
  work: (item: T) => Promise<void>,
): Promise<number> {
  const startedAt = performance.now();
  const queue = items.values();
  const connection = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: connections }, connection));
  return (performance.now() - startedAt) / 1_000;
}
