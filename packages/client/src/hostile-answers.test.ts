import { expect, spyOn, test } from "bun:test";
import type { Digest } from "@stowage/oci/digest";
import { ClientError } from "./client-error.ts";
import type { Credentials } from "./credentials.ts";
import { digestOf } from "./hasher.ts";
import { isLoopback, RegistryClient } from "./registry-client.ts";
import { isRegistryHost, parseImageReference } from "./image-reference.ts";
import { WarningList } from "./warnings.ts";

const CLOCK = { now: () => 0, wait: async () => undefined };

function clientWith(answer: (request: Request, count: number) => Response | Promise<Response>) {
  let count = 0;
  return new RegistryClient({
    clock: CLOCK,
    retriesMax: 2,
    fetch: async (request) => answer(request, count++),
  });
}

async function failureOf(work: Promise<unknown>): Promise<ClientError> {
  const failure: unknown = await work.catch((error: unknown) => error);
  if (failure instanceof ClientError) return failure;
  throw new Error(`no ClientError: ${String(failure)}`);
}

const pieces = (count: number, size: number) => {
  let left = count;
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      pull(controller) {
        if (left-- === 0) controller.close();
        else controller.enqueue(new Uint8Array(size).fill(0x20));
      },
    },
    { highWaterMark: 0 },
  );
};

const ENDLESS = Number.POSITIVE_INFINITY;
const SUBJECT = `sha256:${"0".repeat(64)}` as Digest;

test("an answer whose body is silent after its header ends after five minutes", async () => {
  const ended = new AbortController();
  // Given back at the end: other files of tests run in the same process.
  using timeout = spyOn(AbortSignal, "timeout").mockImplementation(() => ended.signal);
  const silent = () => {
    queueMicrotask(() => ended.abort(new DOMException("", "TimeoutError")));
    return new Response(new ReadableStream({ pull: () => new Promise(() => undefined) }));
  };
  const failure = await failureOf(clientWith(silent).repository("registry.test/app").getManifest("1"));
  expect([failure.kind, failure.message]).toEqual([
    "network",
    "pull registry.test/app:1: the answer broke off",
  ]);
  expect(timeout).toHaveBeenCalledWith(300_000);
});

test.each([
  {
    what: "a manifest",
    ask: (client: RegistryClient) => client.repository("registry.test/app").getManifest("1"),
  },
  {
    what: "a list of tags",
    ask: (client: RegistryClient) => Array.fromAsync(client.repository("registry.test/app").tags()),
  },
  {
    what: "a list of referrers",
    ask: (client: RegistryClient) =>
      Array.fromAsync(client.repository("registry.test/app").referrers(SUBJECT)),
  },
])("$what without end is refused", async ({ ask }) => {
  const failure = await failureOf(ask(clientWith(() => new Response(pieces(ENDLESS, 1024 * 1024)))));
  expect([failure.kind, failure.message]).toEqual([
    "server",
    expect.stringMatching(/more than \d+ bytes came$/),
  ]);
});

test("pages that lead in a larger circle end when one comes again", async () => {
  let requests = 0;
  const client = clientWith(({ url }) => {
    requests += 1;
    const last = Number(new URL(url).searchParams.get("last"));
    const link = `</v2/app/tags/list?last=${(last + 1) % 5}>; rel="next"`;
    return Response.json({ tags: ["a"] }, { headers: { Link: link } });
  });
  const failure = await failureOf(Array.fromAsync(client.repository("registry.test/app").tags()));
  expect([failure.message, requests]).toEqual(["list registry.test/app: its pages do not end", 6]);
});

test("an error whose body has no end is told without it", async () => {
  const client = clientWith(() => new Response(pieces(ENDLESS, 1024 * 1024), { status: 418 }));
  expect((await failureOf(client.registry("registry.test").ping())).status).toBe(418);
});

test("a token without end is refused", async () => {
  const client = clientWith(({ url }) =>
    url.startsWith("https://auth.test/")
      ? new Response(pieces(ENDLESS, 1024 * 1024))
      : new Response("", {
          status: 401,
          headers: { "WWW-Authenticate": 'Bearer realm="https://auth.test/"' },
        }),
  );
  expect((await failureOf(client.registry("registry.test").ping())).message).toContain("bytes came");
});

test.each(["a\nb", "a\r\nX-Evil: 1", "a b", "\u00e9", 7, null, "", { toString: "a" }])(
  "a token that cannot stand in a header is none: %p",
  async (token) => {
    const client = clientWith(({ url }) =>
      url.startsWith("https://auth.test/")
        ? Response.json({ token })
        : new Response("", {
            status: 401,
            headers: { "WWW-Authenticate": 'Bearer realm="https://auth.test/"' },
          }),
    );
    expect((await failureOf(client.registry("registry.test").ping())).message).toEndWith(
      "the answer has no token",
    );
  },
);

test("what cannot stand in a header is not shown when it is refused", async () => {
  const secret: Credentials = { kind: "registry-token", token: "secret\nX-Evil: 1" };
  const client = new RegistryClient({
    clock: CLOCK,
    credentials: async () => secret,
    fetch: async () => new Response("", { status: 401, headers: { "WWW-Authenticate": "Basic realm=x" } }),
  });
  const { kind, message } = await failureOf(client.registry("registry.test").ping());
  expect([kind, message.includes("secret")]).toEqual(["network", false]);
});

test.each([
  ["no JSON", "["],
  ["deep JSON", `{"manifests":${"[".repeat(200_000)}`],
  ["null", "null"],
  ["entries that are none", '{"manifests":[{}]}'],
  ["entries of odd sizes", `{"manifests":[{"mediaType":"a/b","digest":"${SUBJECT}","size":-1}]}`],
])("a list of referrers that is %s is a ClientError", async (_, body) => {
  const client = clientWith(() => new Response(body));
  const { message } = await failureOf(
    Array.fromAsync(client.repository("registry.test/app").referrers(SUBJECT)),
  );
  expect(message).toStartWith("list referrers of registry.test/app@sha256:0000");
});

test("a fallback tag that is no JSON is a list without entries", async () => {
  const sent: unknown[] = [];
  const client = clientWith(async (request) => {
    if (request.method === "GET") return new Response("no JSON");
    sent.push(await request.json());
    return new Response(null, { status: 201 });
  });
  const { manifestFrom } = await import("./image-manifests.ts");
  const type = "application/vnd.oci.image.manifest.v1+json";
  const subject = { mediaType: type, digest: SUBJECT, size: 1 };
  await client.repository("registry.test/app").putManifest(manifestFrom({ subject, layers: [] }, type));
  expect(sent.at(-1)).toEqual({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [{ mediaType: type, digest: expect.any(String), size: expect.any(Number) }],
  });
});

test("an upload that a registry always loses again ends", async () => {
  const bytes = new Uint8Array(10);
  for (const canStream of [true, false]) {
    let requests = 0;
    const client = new RegistryClient({
      clock: CLOCK,
      canStream,
      retriesMax: 2,
      fetch: async ({ method, body }) => {
        await body?.cancel();
        if (++requests > 100) throw new Error("it does not end");
        const headers = { Location: "/v2/app/blobs/uploads/1", Range: "0-1" };
        if (method === "POST") return new Response(null, { status: 202, headers });
        if (method === "PATCH")
          return new Response(null, { status: 202, headers: { ...headers, Range: "0-9" } });
        return method === "PUT"
          ? new Response(null, { status: 502 })
          : new Response(null, { status: method === "GET" ? 204 : 200, headers });
      },
    });
    const open = async () => new Response(bytes).body ?? pieces(0, 0);
    const blob = { digest: digestOf(bytes), size: bytes.byteLength };
    const failure = await failureOf(client.repository("registry.test/app").putBlob(blob, open));
    expect(failure.status).toBe(502);
  }
});

test("an upload of which more is said to have arrived than there is ends with what the registry says of it", async () => {
  const bytes = new Uint8Array(10);
  const sent: string[] = [];
  let answer = 0;
  const client = new RegistryClient({
    clock: CLOCK,
    fetch: async ({ method, body }) => {
      await body?.cancel();
      sent.push(method);
      const headers = { Location: "/v2/app/blobs/uploads/1", Range: "0-98" };
      if (method !== "PUT") return new Response(null, { status: 202, headers });
      if (answer++ === 0) throw new Error("broken");
      return Response.json({ errors: [{ code: "DIGEST_INVALID" }] }, { status: 400 });
    },
  });
  const open = async () => new Response(bytes).body ?? pieces(0, 0);
  const blob = { digest: digestOf(bytes), size: bytes.byteLength };
  const failure = await failureOf(client.repository("registry.test/app").putBlob(blob, open));
  expect([failure.kind, sent]).toEqual(["mismatch", ["POST", "PUT", "GET", "PUT", "DELETE"]]);
});

test.each([
  "registry.test:99999",
  "1.2.3.4.5",
  "999.1.1.1",
  "[::::]",
  "xn--a.test",
  "user@registry.test",
  "registry.test.",
  "registry.test/",
  "registry.test?",
  "registry.test#",
  "registry.test\\x",
  "registry .test",
  "registry.test:",
  "registry.test:-1",
  "[::1",
  "[::1%25eth0]",
  "",
  `${"a".repeat(2_000)}.test`,
])("a host that no registry has is invalid, not a crash: %p", async (host) => {
  expect(isRegistryHost(host)).toBe(false);
  const client = clientWith(() => new Response());
  expect((await failureOf((async () => client.registry(host))())).kind).toBe("invalid");
  if (/[.:]/.test(host)) expect(parseImageReference(`${host}/app`)?.registry).not.toBe(host);
});

test.each([
  ["127.0.0.1.example.com", false],
  ["localhost.example", false],
  ["localhost.example:5000", false],
  ["notlocalhost", false],
  ["x.localhost", false],
  ["127.0.0.10", false],
  ["1127.0.0.1", false],
  ["[::1].example", false],
  ["[::11]", false],
  ["[fe80::1]", false],
  ["localhost:5000x", false],
  ["localhost\n", false],
  ["LOCALHOST:5000", true],
  ["127.0.0.1:5000", true],
  ["[::1]:5000", true],
] as const)("isLoopback of %p is %p", (host, wanted) => {
  expect(isLoopback(host)).toBe(wanted);
});

test.each([
  "https://registry.test./x",
  "https://registry.test:8443/x",
  "https://registry.test.evil.test/x",
  "https://user:password@evil.test/x",
  "https://registry.test@evil.test/x",
  "//evil.test/x",
  "https:\\\\evil.test\\x",
])("a redirect to %s takes no credentials along", async (location) => {
  const authorizations: (string | null)[] = [];
  const client = new RegistryClient({
    credentials: async () => ({ kind: "password", username: "mary", password: "secret" }),
    fetch: async (request) => {
      const authorization = request.headers.get("Authorization");
      authorizations.push(authorization);
      if (request.url !== "https://registry.test/v2/") return new Response("");
      if (authorization === null)
        return new Response("", { status: 401, headers: { "WWW-Authenticate": "Basic realm=x" } });
      return new Response(null, { status: 307, headers: { Location: location } });
    },
  });
  await client.registry("registry.test").ping();
  expect(authorizations).toEqual([null, expect.stringMatching(/^Basic /), null]);
});

test.each(["HTTPS://REGISTRY.TEST/x", "https://registry.test:443/x", "/x", "x"])(
  "a redirect within the registry, written %s, takes them along",
  async (location) => {
    const last: (string | null)[] = [];
    const client = new RegistryClient({
      credentials: async () => ({ kind: "password", username: "mary", password: "secret" }),
      fetch: async (request) => {
        const authorization = request.headers.get("Authorization");
        last.push(authorization);
        if (!request.url.endsWith("/v2/")) return new Response("");
        if (authorization === null)
          return new Response("", { status: 401, headers: { "WWW-Authenticate": "Basic realm=x" } });
        return new Response(null, { status: 307, headers: { Location: location } });
      },
    });
    await client.registry("Registry.test").ping();
    expect(last.at(-1)).toStartWith("Basic ");
  },
);

test.each([
  "299 ".repeat(250_000),
  `299${" ".repeat(1_000_000)}`,
  `299 a${" ".repeat(1_000_000)}`,
  '299 a "'.repeat(140_000),
  '299 a "\\'.repeat(120_000),
  `299 a "${"\\a".repeat(500_000)}`,
])("a Warning header of a megabyte is read in time, case %#", (header) => {
  const told: string[] = [];
  new WarningList((text) => told.push(text)).add(header);
  expect(told.every(({ length }) => length <= 4_096)).toBe(true);
});
