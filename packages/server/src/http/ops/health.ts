import type { Registry } from "../../registry/registry.ts";

export interface HealthOptions {
  readonly registry: Registry;
  /** Whether the server is shutting down and wants no new work. */
  readonly isDraining: () => boolean;
}

/** Name of a check, and what is wrong; null: nothing. */
type Check = readonly [name: string, problem: string | null];

/**
 * `/livez`: the process answers. `/readyz` and `/startupz`: it can also do its work, and it is not shutting down;
 * `?verbose` names each check, as Kubernetes does. `/debug/health` says the same in distribution's form: an object of what is
 * wrong. Null for every other path. All are without authentication and say nothing that an outsider may not know.
 */
export async function answerHealth(
  request: { readonly path: string; readonly query: URLSearchParams },
  options: HealthOptions,
): Promise<Response | null> {
  switch (request.path) {
    case "/livez":
      return toText([], request.query);
    case "/readyz":
    case "/startupz":
      return toText(await check(options), request.query);
    case "/debug/health": {
      const wrong = (await check(options)).filter(([, problem]) => problem !== null);
      return Response.json(Object.fromEntries(wrong), { status: statusOf(wrong) });
    }
    default:
      return null;
  }
}

async function check({ registry, isDraining }: HealthOptions): Promise<readonly Check[]> {
  const metadata = await registry.ping().then(
    () => null,
    () => "metadata store unavailable",
  );
  return [
    ["shutdown", isDraining() ? "shutting down" : null],
    ["metadata", metadata],
  ];
}

function toText(checks: readonly Check[], query: URLSearchParams): Response {
  const status = statusOf(checks);
  const [problem = "ok"] = checks.flatMap(([, text]) => text ?? []);
  const lines = checks.map(([name, text]) =>
    text === null ? `[+]${name} ok\n` : `[-]${name} failed: ${text}\n`,
  );
  return new Response(`${query.has("verbose") ? lines.join("") : ""}${problem}\n`, { status });
}

function statusOf(checks: readonly Check[]): number {
  return checks.every(([, problem]) => problem === null) ? 200 : 503;
}
