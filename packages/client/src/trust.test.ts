import { expect, test } from "bun:test";
import { ClientError } from "./client-error.ts";
import type { Credentials } from "./credentials.ts";
import { RegistryClient } from "./registry-client.ts";
import { traced } from "./traced-fetch.ts";

const PASSWORD: Credentials = { kind: "password", username: "mary", password: "secret" };
const BASIC = `Basic ${btoa("mary:secret")}`;

interface Seen {
  readonly request: string;
  readonly authorization: string | null;
}

/** A client whose requests are answered by `answers`, and what it sent. */
function clientWith(answers: (request: Request) => Response, credentials: Credentials | null = PASSWORD) {
  const seen: Seen[] = [];
  const client = new RegistryClient({
    credentials: async () => credentials,
    retriesMax: 0,
    fetch: async (request) => {
      seen.push({
        request: `${request.method} ${request.url}`,
        authorization: request.headers.get("Authorization"),
      });
      return answers(request);
    },
  });
  return { client, seen };
}

const needSignIn = (challenge: string) =>
  new Response("", { status: 401, headers: { "WWW-Authenticate": challenge } });

async function failureOf(work: Promise<unknown>): Promise<ClientError> {
  const failure: unknown = await work.catch((error: unknown) => error);
  if (failure instanceof ClientError) return failure;
  throw new Error(`no ClientError: ${String(failure)}`);
}

test("a redirect to another origin is followed without the credentials, and the way back has them", async () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const { client, seen } = clientWith((request) => {
    if (request.url.startsWith("https://storage.test/")) return Response.json({});
    if (request.headers.get("Authorization") === null) return needSignIn("Basic realm=x");
    return new Response(null, {
      status: 307,
      headers: { Location: "https://storage.test/object?X-Amz-Signature=1" },
    });
  });
  const repository = client.repository("registry.test/app");
  const blob = { digest, size: 2 } as never;
  await (await repository.openBlob(blob))?.cancel();
  expect(seen).toEqual([
    { request: `GET https://registry.test/v2/app/blobs/${digest}`, authorization: null },
    { request: `GET https://registry.test/v2/app/blobs/${digest}`, authorization: BASIC },
    { request: "GET https://storage.test/object?X-Amz-Signature=1", authorization: null },
  ]);
});

for (const challenge of [
  'Bearer realm="https://storage.test/token",service="x"',
  'Bearer realm="https://registry.test/token",service="x"',
  "Basic realm=x",
]) {
  test(`what a redirect leads to cannot ask for the password: ${challenge}`, async () => {
    const { client, seen } = clientWith((request) => {
      if (request.url.startsWith("https://storage.test/")) return needSignIn(challenge);
      return new Response(null, { status: 307, headers: { Location: "https://storage.test/object" } });
    });
    const failure = await failureOf(client.repository("registry.test/app").getManifest("1.0"));
    expect(failure.kind).toBe("unauthenticated");
    expect(seen.map(({ request }) => request)).toEqual([
      "GET https://registry.test/v2/app/manifests/1.0",
      "GET https://storage.test/object",
    ]);
  });
}

test("where an upload is sent to cannot ask for the password", async () => {
  const { client, seen } = clientWith((request) => {
    if (request.url.startsWith("https://storage.test/")) {
      return needSignIn('Bearer realm="https://storage.test/token"');
    }
    return new Response(null, { status: 202, headers: { Location: "https://storage.test/upload" } });
  });
  const upload = await client.repository("registry.test/app").startUpload();
  expect((await failureOf(upload.append(new Uint8Array(3)))).kind).toBe("unauthenticated");
  expect(seen.map(({ request }) => request)).toEqual([
    "POST https://registry.test/v2/app/blobs/uploads/",
    "PATCH https://storage.test/upload",
  ]);
});

test("a realm of this machine is refused however it is written", async () => {
  for (const host of ["localhost.", "a.localhost.", "127.1", "0x7f000001", "[::ffff:127.0.0.1]"]) {
    const { client, seen } = clientWith(() => needSignIn(`Bearer realm="https://${host}/token"`));
    expect((await failureOf(client.registry("registry.test").ping())).message).toContain(
      "no private address",
    );
    expect(seen.length).toBe(1);
  }
});

test("a download whose server knows no ranges and always breaks off ends", async () => {
  const { client, seen } = clientWith(() => {
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (seen.length > 20) controller.close();
        controller.enqueue(new Uint8Array(1));
        controller.close();
      },
    });
    return new Response(body);
  });
  const blob = { digest: `sha256:${"0".repeat(64)}`, size: 9 } as never;
  const stream = await client.repository("registry.test/app").openBlob(blob);
  expect((await failureOf(new Response(stream).bytes())).kind).toBe("network");
  expect(seen.length).toBeLessThan(5);
});

test("the next page is found behind other links, in time whatever the header is", async () => {
  const links: Readonly<Record<string, boolean>> = {
    '<https://x.test/>; rel="first", </v2/_catalog?last=a>; rel="next"': true,
    "</v2/_catalog?last=a>; rel=next": true,
    "/v2/_catalog?last=a; rel=next": false,
    '</v2/_catalog?last=a>;title="a, b; c";REL=next': true,
    '</v2/_catalog?last=a>; rel="next-week"': false,
    ["a".repeat(1_000_000)]: false,
    ["<".repeat(1_000_000)]: false,
    ["a; rel ".repeat(2_000)]: false,
    ["<>;".repeat(5_000)]: false,
    ['a"'.repeat(8_000)]: false,
  };
  for (const [link, hasNext] of Object.entries(links)) {
    const { client } = clientWith(({ url }) =>
      url.includes("last=a")
        ? Response.json({ repositories: ["b"] })
        : Response.json({ repositories: ["a"] }, { headers: { Link: link } }),
    );
    const names: string[] = [];
    for await (const name of client.registry("registry.test").repositories()) names.push(name);
    expect(names).toEqual(hasNext ? ["a", "b"] : ["a"]);
  }
});

test("a redirect from https to http is not followed", async () => {
  const { client, seen } = clientWith(
    () => new Response(null, { status: 302, headers: { Location: "http://registry.test/x" } }),
  );
  const failure = await failureOf(client.registry("registry.test").ping());
  expect(failure.message).toContain("no safe address");
  expect(seen.length).toBe(1);
});

test("redirects that never end, end", async () => {
  const { client, seen } = clientWith(
    () => new Response(null, { status: 302, headers: { Location: "/again" } }),
  );
  expect((await failureOf(client.registry("registry.test").ping())).message).toContain("too many redirects");
  expect(seen.length).toBe(6);
});

test("an upload that is sent to another origin takes no credentials along", async () => {
  const { client, seen } = clientWith((request) => {
    if (request.headers.get("Authorization") === null && request.url.includes("registry.test"))
      return needSignIn("Basic realm=x");
    if (request.method === "POST")
      return new Response(null, {
        status: 202,
        headers: { Location: "https://elsewhere.test/upload?state=1" },
      });
    return new Response(null, { status: 201 });
  });
  const session = await client.repository("registry.test/app").startUpload();
  await session.append(new Uint8Array(3));
  expect(seen.at(-1)).toEqual({
    request: "PATCH https://elsewhere.test/upload?state=1",
    authorization: null,
  });
});

test("a page whose Link leads to another origin is asked for without credentials", async () => {
  const { client, seen } = clientWith((request) => {
    if (request.url.includes("elsewhere.test")) return Response.json({ tags: ["b"] });
    if (request.headers.get("Authorization") === null) return needSignIn("Basic realm=x");
    return Response.json({ tags: ["a"] }, { headers: { Link: '<https://elsewhere.test/tags>; rel="next"' } });
  });
  expect(await Array.fromAsync(client.repository("registry.test/app").tags())).toEqual(["a", "b"]);
  expect(seen.at(-1)?.authorization).toBeNull();
});

test("pages that lead in a circle end", async () => {
  const { client } = clientWith(
    () => Response.json({ tags: ["a"] }, { headers: { Link: '</v2/app/tags/list?last=a>; rel="next"' } }),
    null,
  );
  const failure = await failureOf(Array.fromAsync(client.repository("registry.test/app").tags()));
  expect(failure.message).toContain("do not end");
});

test.each([
  "http://auth.test/token",
  "ftp://auth.test/token",
  "no address",
  "https://127.0.0.1/token",
  "https://10.1.2.3:8443/token",
  "https://169.254.169.254/latest/meta-data",
  "https://[::1]/token",
  "https://localhost/token",
  "https://0x7f.1/token",
  "https://u:p@auth.test/token",
])("a registry that asks for the password at %s does not get it", async (realm) => {
  const { client, seen } = clientWith(() => needSignIn(`Bearer realm="${realm}",service="s"`));
  const failure = await failureOf(client.registry("registry.test").ping());
  expect([failure.kind, failure.message]).toEqual(["refused", expect.stringContaining(realm)]);
  expect(seen.length).toBe(1);
});

test("the token endpoint's redirect is not followed", async () => {
  const { client, seen } = clientWith((request) =>
    request.url.startsWith("https://auth.test/")
      ? new Response(null, { status: 307, headers: { Location: "https://evil.test/" } })
      : needSignIn('Bearer realm="https://auth.test/token",service="s"'),
  );
  await failureOf(client.registry("registry.test").ping());
  expect(seen.map(({ request }) => request)).toEqual([
    "GET https://registry.test/v2/",
    "GET https://auth.test/token?service=s&account=mary",
  ]);
});

test("a token that was refused is asked for anew once, and not for ever", async () => {
  let tokens = 0;
  const { client, seen } = clientWith((request) => {
    if (!request.url.startsWith("https://auth.test/")) {
      return needSignIn(
        'Bearer realm="https://auth.test/token",service="s",scope="repository:app:pull",error="invalid_token"',
      );
    }
    tokens += 1;
    return Response.json({ token: `t${tokens}` });
  });
  expect((await failureOf(client.repository("registry.test/app").getManifest("x"))).kind).toBe(
    "unauthenticated",
  );
  expect(tokens).toBe(2);
  expect(seen.length).toBe(5);
});

test("credentials are asked for only after a 401, and not for a registry that wants none", async () => {
  let asked = 0;
  const client = new RegistryClient({
    credentials: async () => {
      asked += 1;
      return null;
    },
    fetch: async () => Response.json({ tags: [] }),
  });
  await Array.fromAsync(client.repository("registry.test/app").tags());
  expect(asked).toBe(0);
});

test("what is shown of an exchange has no secret in it", async () => {
  const shown: string[] = [];
  const client = new RegistryClient({
    credentials: async () => PASSWORD,
    fetch: traced(
      async (request) => {
        if (request.url.startsWith("https://auth.test/")) return Response.json({ token: "verysecrettoken" });
        if (request.headers.get("Authorization") === null)
          return needSignIn('Bearer realm="https://auth.test/token",service="s"');
        return new Response(null, {
          status: 307,
          headers: { Location: "https://auth.test/object?X-Amz-Signature=abcdef" },
        });
      },
      (exchange) => shown.push(JSON.stringify(exchange)),
    ),
  });
  await client.registry("registry.test").ping();
  expect(shown.join("\n")).not.toMatch(/verysecret|abcdef|bWFyeTpzZWNyZXQ/);
  expect(shown.join("\n")).toContain("Bearer (secret)");
});

test("a registry without referrers gets the fallback tag, and its list is read from there", async () => {
  const stored = new Map<string, { bytes: Uint8Array<ArrayBuffer>; type: string }>();
  const client = new RegistryClient({
    fetch: async (request) => {
      const path = new URL(request.url).pathname;
      if (path.includes("/referrers/")) return new Response("404 page not found", { status: 404 });
      if (request.method === "PUT") {
        stored.set(path, {
          bytes: new Uint8Array(await request.arrayBuffer()),
          type: request.headers.get("Content-Type") ?? "",
        });
        return new Response(null, { status: 201 });
      }
      const found = stored.get(path);
      if (found === undefined) return new Response("", { status: 404 });
      return new Response(found.bytes, { headers: { "Content-Type": found.type } });
    },
  });
  const { manifestFrom } = await import("./image-manifests.ts");
  const repository = client.repository("registry.test/app");
  const subject = {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: `sha256:${"a".repeat(64)}`,
    size: 2,
  };
  const put = async (artifactType: string) => {
    const manifest = manifestFrom({ schemaVersion: 2, artifactType, subject, layers: [] }, subject.mediaType);
    await repository.putManifest(manifest);
    return manifest.digest;
  };
  const [first, second] = [await put("application/x.one"), await put("application/x.two")];
  await put("application/x.two");
  expect([...stored.keys()].some((path) => path.endsWith(`/manifests/sha256-${"a".repeat(64)}`))).toBe(true);
  const found = await Array.fromAsync(repository.referrers(subject.digest as never));
  expect(found.map(({ digest }) => digest)).toEqual([first, second]);
  const two = await Array.fromAsync(
    repository.referrers(subject.digest as never, { artifactType: "application/x.two" }),
  );
  expect(two.map(({ digest }) => digest)).toEqual([second]);
});
