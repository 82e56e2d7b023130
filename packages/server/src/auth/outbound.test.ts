import { expect, test } from "bun:test";
import { EC_CERTIFICATE, EC_PRIVATE_KEY } from "../../../../tests/support/certificates.ts";
import { createFetchJson, lookupHost, type OutboundLimits } from "./outbound.ts";

const LIMITS: OutboundLimits = { bytesMax: 1_000, isTrusted: true };

interface Serving {
  readonly tls?: { readonly key: string; readonly cert: string };
  fetch(request: Request): Response | Promise<Response>;
}

function serve({ tls, fetch }: Serving) {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch, ...(tls === undefined ? {} : { tls }) });
  return { port: server.port, [Symbol.asyncDispose]: () => server.stop(true) };
}

const resolving = (...addresses: readonly string[]) =>
  createFetchJson({
    lookup: () => Promise.resolve(addresses),
    fetch,
    certificateAuthorities: EC_CERTIFICATE,
  });

const problemOf = async (fetched: ReturnType<ReturnType<typeof resolving>>): Promise<string> => {
  const answer = await fetched;
  return answer.ok ? `an answer: ${JSON.stringify(answer.value)}` : answer.problem;
};

test("fetchJson sends the request to the address that was looked up, under the host's name", async () => {
  await using server = serve({ fetch: (request) => Response.json({ host: request.headers.get("Host") }) });
  const names: string[] = [];
  const lookup = (name: string) => {
    names.push(name);
    return Promise.resolve(["127.0.0.1"]);
  };
  const fetched = await createFetchJson({ lookup, fetch })(`http://issuer.test:${server.port}/a?b=c`, LIMITS);
  expect(fetched).toEqual({ ok: true, value: { host: `issuer.test:${server.port}` } });
  expect(names).toEqual(["issuer.test"]);
});

test("fetchJson by https wants the certificate of the name", async () => {
  const tls = { key: EC_PRIVATE_KEY, cert: EC_CERTIFICATE };
  await using server = serve({ tls, fetch: () => Response.json({ fine: true }) });
  const fetchJson = resolving("127.0.0.1");
  expect(await fetchJson(`https://issuer.test:${server.port}/`, LIMITS)).toEqual({
    ok: true,
    value: { fine: true },
  });
  expect(await problemOf(fetchJson(`https://other.test:${server.port}/`, LIMITS))).toContain("ALTNAME");
  expect(await problemOf(fetchJson(`https://127.0.0.1:${server.port}/`, LIMITS))).toContain("ALTNAME");
  const untrusting = createFetchJson({ lookup: () => Promise.resolve(["127.0.0.1"]), fetch });
  expect(await problemOf(untrusting(`https://issuer.test:${server.port}/`, LIMITS))).toContain("self signed");
});

const UNTRUSTED = { ...LIMITS, isTrusted: false };

test.each([
  "127.0.0.1",
  "169.254.169.254",
  "10.0.0.1",
  "::ffff:169.254.169.254",
  "fd00::1",
  "1.1.1.1 127.0.0.1",
])("fetchJson asks no host at %s that nobody named", async (addresses) => {
  const fetchJson = resolving(...addresses.split(" "));
  expect(await problemOf(fetchJson("https://issuer.test/", UNTRUSTED))).toContain("public internet");
});

test.each([
  "https://127.0.0.1/",
  "https://0x7f.1/",
  "https://2130706433/",
  "https://[::1]/",
  "https://[::ffff:127.0.0.1]/",
  "https://[fe80::1]/",
])("fetchJson asks no private address: %s", async (url) => {
  expect(await problemOf(resolving()(url, UNTRUSTED))).toContain("public internet");
});

test.each([
  ["ftp://issuer.test/", "no address of https or http"],
  ["file:///etc/passwd", "no address of https or http"],
  ["data:application/json,{}", "no address of https or http"],
  ["issuer.test", "no address of https or http"],
  ["https://user:secret@issuer.test/", "credentials"],
  ["https://user@issuer.test/", "credentials"],
  ["http://issuer.test/", "wanted https"],
])("fetchJson refuses %s", async (url, problem) => {
  expect(await problemOf(resolving("1.1.1.1")(url, LIMITS))).toContain(problem);
});

test.each<[string, () => Response, string]>([
  ["a redirect", () => Response.redirect("http://127.0.0.1:1/", 302), "302"],
  ["an error", () => Response.json({}, { status: 500 }), "500"],
  ["no content", () => new Response(null, { status: 204 }), "204"],
  ["no JSON", () => new Response("<html>"), "not valid JSON"],
  ["a duplicate key", () => new Response('{"a":1,"a":2}'), "twice"],
  ["too much", () => Response.json("x".repeat(1_000)), "larger than 1000"],
  [
    "a bomb",
    () =>
      new Response(Bun.gzipSync(Buffer.alloc(1_000_000, 32)), { headers: { "Content-Encoding": "gzip" } }),
    "larger than 1000",
  ],
])("fetchJson takes no answer with %s", async (_, answer, problem) => {
  await using server = serve({ fetch: answer });
  expect(await problemOf(resolving()(`http://127.0.0.1:${server.port}/`, LIMITS))).toContain(problem);
});

test("fetchJson does not wait for ever, whatever is slow", async () => {
  const { promise: never, resolve } = Promise.withResolvers<Response>();
  await using server = serve({ fetch: () => never });
  const limits = { ...LIMITS, timeoutMs: 50 };
  const url = `http://127.0.0.1:${server.port}/`;
  expect(await problemOf(resolving()(url, limits))).toContain("timed out");
  const hanging = createFetchJson({ lookup: () => Promise.withResolvers<string[]>().promise, fetch });
  expect(await problemOf(hanging("https://issuer.test/", limits))).toContain("no answer in time");
  resolve(new Response());
});

test("lookupHost finds this machine", async () => {
  expect(["127.0.0.1", "::1"]).toContain((await lookupHost("localhost"))[0] ?? "");
});
