import { UsageError } from "../arguments.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";

/** Longest wait for an answer, in milliseconds: container runtimes wait 30 s by default. */
const ANSWER_MS_MAX = 5_000;

export const HEALTHCHECK: Command = {
  about:
    "Asks the server of this machine whether it can do its work: 0 says yes, 1 says no, as a container's health check wants it. It finds the server as `stowage serve` does, by STOWAGE_ADDR and STOWAGE_TLS_CERT.",
  places: [],
  options: {
    addr: { value: "HOST:PORT", help: "where it listens (default :5000, or STOWAGE_ADDR)" },
    tls: {
      value: null,
      help: "it speaks TLS (default: when STOWAGE_TLS_CERT is set); its certificate is not checked",
    },
    live: { value: null, help: "only whether the process answers, also while it shuts down" },
  },
  shared: [],
  examples: [
    { line: "server healthcheck --addr localhost:5000" },
    { line: "server healthcheck", untested: "it asks port 5000" },
  ],
  run: runHealthcheck,
};

async function runHealthcheck({ args, world }: Call): Promise<number> {
  const address = args.get("addr") ?? world.env.STOWAGE_ADDR ?? ":5000";
  const [, host, port] = /^(.*):(\d{1,5})$/.exec(address) ?? [];
  if (host === undefined || port === undefined)
    throw new UsageError(`--addr is "${address}"; wanted HOST:PORT`);
  // Where it listens on every address, this machine is the shortest way.
  const isEverywhere = host === "" || host === "0.0.0.0" || host === "[::]";
  const isTls = args.has("tls") || (world.env.STOWAGE_TLS_CERT ?? "") !== "";
  const url = `${isTls ? "https" : "http"}://${isEverywhere ? "127.0.0.1" : host}:${port}/${args.has("live") ? "livez" : "readyz"}`;
  if (!URL.canParse(url)) throw new UsageError(`--addr is "${address}"; wanted HOST:PORT`);
  try {
    const request = new Request(url, { redirect: "error", signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    // Nothing is told and nothing believed here but whether it works.
    const response = await world.fetch(request, isTls ? { tls: { rejectUnauthorized: false } } : {});
    await response.body?.cancel();
    if (response.ok) return EXIT.ok;
    world.stderr.write(`${url} answered ${response.status}\n`);
  } catch (error) {
    world.stderr.write(`${url}: ${error instanceof Error ? error.message : String(error)}\n`);
  }
  // Not another code: Docker keeps 2 for itself.
  return EXIT.failed;
}
