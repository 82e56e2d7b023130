import { describe, expect, test } from "bun:test";
import { MemoryBlobStore } from "@stowage/server/blobstore/memory";
import { blobOf, digestOf, imageOf, seededBytes, type TestBlob, type TestImage } from "../support/content.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const HOUR_MS = 3_600_000;
const JSON_BODY = { "Content-Type": "application/json" };

interface QuotaAnswer {
  readonly namespace: string;
  readonly bytes: number | null;
  readonly used: { readonly bytes: number; readonly repositories: number; readonly tags: number };
}

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly detail: { namespace: string; resource: string; limit: number; used: number };
}

async function api(app: TestApp, method: string, path: string, value?: unknown): Promise<Response> {
  const parts = value === undefined ? {} : { headers: JSON_BODY, body: JSON.stringify(value) };
  return await app.request(method, `/api/v1/quotas${path}`, parts);
}

async function limit(app: TestApp, namespace: string, limits: Readonly<Record<string, number>>) {
  expect((await api(app, "PUT", `/${namespace}`, limits)).status).toBe(200);
}

async function quota(app: TestApp, namespace: string): Promise<QuotaAnswer> {
  return (await (await api(app, "GET", `/${namespace}`)).json()) as QuotaAnswer;
}

/** The one error of a refusal. */
async function refusal(response: Response): Promise<Refusal> {
  expect(response.status).toBe(403);
  const { errors } = (await response.json()) as { errors: Refusal[] };
  const [error] = errors;
  if (error === undefined || errors.length > 1) throw new Error("wanted one error");
  expect(error.code).toBe("DENIED");
  return error;
}

/** A blob of so many bytes, another one for each seed. */
const blob = (bytes: number, seed = 1): TestBlob => blobOf(seededBytes(bytes, seed));

function image(seed: number, bytes = 1_000): TestImage {
  return imageOf([blob(bytes, seed)], { annotations: { seed: String(seed) } });
}

function sizeOf({ config, layers, manifest }: TestImage): number {
  return [config, ...layers, manifest].reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
}

async function start(app: TestApp, repository: string): Promise<string> {
  const response = await app.request("POST", `/v2/${repository}/blobs/uploads/`);
  expect(response.status).toBe(202);
  return response.headers.get("Location") ?? "";
}

/** A stream of 1,000 pieces of 1,000 bytes. */
function longStream(): ReadableStream<Uint8Array> {
  let pieces = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (pieces === 1_000) return controller.close();
      pieces += 1;
      controller.enqueue(seededBytes(1_000, pieces));
    },
  });
}

/** A store that counts the bytes which uploads wrote to it. */
function countingStore() {
  const store = new MemoryBlobStore();
  const written = { bytes: 0 };
  const open = store.openUpload.bind(store);
  store.openUpload = async (id, offset) => {
    const writer = await open(id, offset);
    if (writer === null) return null;
    return {
      write: (piece) => {
        written.bytes += piece.byteLength;
        return writer.write(piece);
      },
      sync: () => writer.sync(),
      [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
    };
  };
  return { store, written };
}

describe("the API of quotas", () => {
  test("quotas are set, listed with their use, changed and lifted; the whole registry is called -", async () => {
    await using app = new TestApp();
    await app.pushImage("team/app/web", "v1", image(1));
    await limit(app, "-", { bytes: 1_000_000 });
    await limit(app, "team/app", { tags: 5, repositories: 2 });
    const bytes = sizeOf(image(1));
    const listed = (await (await api(app, "GET", "?n=1")).json()) as { quotas: unknown[]; next: string };
    expect(listed.quotas).toEqual([
      {
        namespace: "-",
        bytes: 1_000_000,
        repositories: null,
        tags: null,
        used: { bytes, repositories: 1, tags: 1 },
      },
    ]);
    const more = await api(app, "GET", `?n=1&next=${listed.next}`);
    expect(await more.json()).toEqual({
      quotas: [
        {
          namespace: "team/app",
          bytes: null,
          repositories: 2,
          tags: 5,
          used: { bytes, repositories: 1, tags: 1 },
        },
      ],
      next: null,
    });
    expect(await quota(app, "team%2Fapp")).toMatchObject({ namespace: "team/app" });
    expect((await api(app, "DELETE", "/team/app")).status).toBe(204);
    const gone = await api(app, "GET", "/team/app");
    expect([gone.status, await errorCode(gone)]).toEqual([404, "QUOTA_UNKNOWN"]);
  });

  test.each([
    ["-5", { bytes: -5 }],
    ["2^53", { bytes: 2 ** 53 }],
    ["1e300", { bytes: 1e300 }],
    ["1.5", { tags: 1.5 }],
    ["text", { tags: "5" }],
    ["an unknown member", { byte: 5 }],
    ["an array", []],
    ["nothing", {}],
  ])("a limit of %s is refused", async (_, limits) => {
    await using app = new TestApp();
    const response = await api(app, "PUT", "/team", limits);
    expect([response.status, await errorCode(response)]).toEqual([400, "REQUEST_INVALID"]);
    expect((await api(app, "GET", "/team")).status).toBe(404);
  });

  test.each(["Team", "team//a", "-/team", "team/-", "--", "team%00", "..", "a".repeat(256), "team-"])(
    "%s is no namespace",
    async (name) => {
      await using app = new TestApp();
      const response = await api(app, "PUT", `/${name}`, { tags: 1 });
      expect([400, 404]).toContain(response.status);
      expect(((await (await api(app, "GET", "")).json()) as { quotas: unknown[] }).quotas).toEqual([]);
    },
  );

  test("the largest limit is 2^53 - 1, and a slash at the end means nothing", async () => {
    await using app = new TestApp();
    await limit(app, "team/", { bytes: Number.MAX_SAFE_INTEGER });
    expect(await quota(app, "team")).toMatchObject({ bytes: Number.MAX_SAFE_INTEGER });
    expect((await app.pushImage("team/a", "v1", image(1))).status).toBe(201);
  });
});

describe("bytes", () => {
  test("an upload that does not fit is refused with the quota's name, limit and use, and leaves nothing", async () => {
    await using app = new TestApp();
    await app.pushBlob("team/a", blob(700));
    await limit(app, "team", { bytes: 1_000 });
    const error = await refusal(await app.pushBlob("team/b", blob(301, 2)));
    expect(error.message).toBe(
      `quota exceeded: the namespace "team" may hold 1000 bytes and holds 700 bytes; delete something or ask an administrator`,
    );
    expect(error.detail).toEqual({ namespace: "team", resource: "bytes", limit: 1_000, used: 700 });
    expect((await quota(app, "team")).used).toEqual({ bytes: 700, repositories: 1, tags: 0 });
    expect((await app.pushBlob("team/b", blob(300, 3))).status).toBe(201);
    expect((await app.pushBlob("team2/b", blob(301, 2))).status).toBe(201);
    expect((await app.pushBlob("team-x", blob(301, 2))).status).toBe(201);
    const keys: string[] = [];
    for await (const key of app.store.list()) keys.push(key);
    expect(keys).toHaveLength(3);
  });

  test("a stream without a length is not stored any further when it passes what is left", async () => {
    const { store, written } = countingStore();
    await using app = new TestApp({ store });
    await limit(app, "team", { bytes: 50_000 });
    const location = await start(app, "team/a");
    await refusal(await app.request("PATCH", location, { body: longStream() }));
    expect(written.bytes).toBe(50_000);
    expect((await quota(app, "team")).used.bytes).toBe(0);
    expect((await app.request("GET", location)).status).toBe(404);
    const finish = `${await start(app, "team/a")}?digest=${digestOf("whatever")}`;
    await refusal(await app.request("PUT", finish, { body: longStream() }));
    expect(written.bytes).toBe(100_000);
  });

  test("what an open upload has received counts until it is cancelled or finished", async () => {
    await using app = new TestApp();
    await limit(app, "team", { bytes: 1_000 });
    const [first, second] = [await start(app, "team/a"), await start(app, "team/b")];
    const part = blob(600);
    expect((await app.request("PATCH", first, { body: part.bytes })).status).toBe(202);
    expect((await refusal(await app.request("PATCH", second, { body: part.bytes }))).detail.used).toBe(600);
    expect((await app.request("PUT", `${first}?digest=${part.digest}`)).status).toBe(201);
    // A retried finalise, and the same blob again, ask for nothing.
    expect((await app.request("PUT", `${first}?digest=${part.digest}`)).status).toBe(201);
    expect((await app.pushBlob("team/a", part)).status).toBe(201);
    expect((await quota(app, "team")).used.bytes).toBe(600);
    const third = await start(app, "team/b");
    await app.request("PATCH", third, { body: blob(300, 2).bytes });
    expect((await quota(app, "team")).used.bytes).toBe(900);
    await app.request("DELETE", third);
    expect((await quota(app, "team")).used.bytes).toBe(600);
  });

  test("an upload that is finished with another algorithm than it began with is charged once", async () => {
    await using app = new TestApp();
    await limit(app, "team", { bytes: 1_000 });
    const location = await start(app, "team/a");
    const { bytes } = blob(1_000);
    await app.request("PATCH", location, { body: bytes });
    const finish = await app.request("PUT", `${location}?digest=${digestOf(bytes, "sha512")}`);
    expect(finish.status).toBe(201);
    expect((await quota(app, "team")).used.bytes).toBe(1_000);
  });

  test("a full namespace refuses an upload when it starts, and a mount at once", async () => {
    await using app = new TestApp();
    await app.pushBlob("other", blob(500));
    await app.pushBlob("team/a", blob(800, 2));
    await limit(app, "team", { bytes: 1_000 });
    const mount = `/v2/team/a/blobs/uploads/?mount=${blob(500).digest}`;
    for (const from of ["&from=other", ""]) await refusal(await app.request("POST", mount + from));
    // One that cannot be: the answer of any mount that does not happen.
    expect((await app.request("POST", `${mount}&from=nobody`)).status).toBe(202);
    await limit(app, "team", { bytes: 800 });
    await refusal(await app.request("POST", "/v2/team/a/blobs/uploads/"));
    await refusal(await app.pushBlob("team/a", blob(1, 3)));
  });

  test("one blob that is mounted into many repositories counts in each", async () => {
    await using app = new TestApp();
    await app.pushBlob("other", blob(100));
    await limit(app, "team", { bytes: 1_050 });
    const statuses: number[] = [];
    for (let at = 0; at < 12; at++) {
      const path = `/v2/team/r${at}/blobs/uploads/?mount=${blob(100).digest}&from=other`;
      statuses.push((await app.request("POST", path)).status);
    }
    expect(statuses).toEqual([...Array<number>(10).fill(201), 403, 403]);
  });

  test("a manifest counts; sparse content does not until it comes, and then it does", async () => {
    await using app = new TestApp({ allowSparse: true });
    const sparse = image(1, 5_000);
    const { manifest } = sparse;
    await limit(app, "team", { bytes: manifest.bytes.byteLength - 1 });
    await refusal(await app.pushManifest("team/a", "v1", sparse));
    await limit(app, "team", { bytes: manifest.bytes.byteLength + 4_999 });
    expect((await app.pushManifest("team/a", "v1", sparse)).status).toBe(201);
    for (const layer of sparse.layers) await refusal(await app.pushBlob("team/a", layer));
    expect((await quota(app, "team")).used.bytes).toBe(manifest.bytes.byteLength);
  });

  test("pushing and deleting over and over takes no more than the quota until content is freed", async () => {
    await using app = new TestApp();
    await limit(app, "team", { bytes: 10_000 });
    let pushed = 0;
    for (let round = 1; round <= 20; round++) {
      const answer = await app.pushImage("team/a", "v1", image(round));
      if (answer.status !== 201) continue;
      pushed += 1;
      await app.request("DELETE", `/v2/team/a/manifests/${image(round).manifest.digest}`);
      if (round % 2 === 0) await app.metadata.deletions.undo(round);
      await app.request("DELETE", "/api/v1/repositories/team/a");
    }
    expect(pushed).toBeGreaterThan(2);
    expect(pushed).toBeLessThan(9);
    const { used } = await quota(app, "team");
    expect(used.bytes).toBeGreaterThan(7_000);
    expect(used.bytes).toBeLessThanOrEqual(10_000);
    app.clockAhead += 80 * HOUR_MS;
    await app.collect();
    expect((await quota(app, "team")).used).toMatchObject({ bytes: 0, tags: 0 });
    expect((await app.pushImage("team/a", "v1", image(99))).status).toBe(201);
  });
});

describe("at 100 % of everything", () => {
  test("an image that is there can be pushed again, pulled and deleted, and nothing new comes in", async () => {
    await using app = new TestApp();
    const there = image(1);
    await app.pushImage("team/a", "v1", there);
    await limit(app, "team", { bytes: sizeOf(there), repositories: 1, tags: 1 });
    expect((await app.pushImage("team/a", "v1", there)).status).toBe(201);
    expect((await refusal(await app.pushManifest("team/a", "v2", there))).detail.resource).toBe("tags");
    const tag = await app.request("PUT", `/v2/team/a/tags/v2?digest=${there.manifest.digest}`);
    expect((await refusal(tag)).detail).toEqual({ namespace: "team", resource: "tags", limit: 1, used: 1 });
    const start = await app.request("POST", "/v2/team/b/blobs/uploads/");
    expect((await refusal(start)).detail.namespace).toBe("team");
    expect((await app.request("GET", "/v2/team/a/manifests/v1")).status).toBe(200);
    expect((await app.request("DELETE", "/v2/team/a/manifests/v1")).status).toBe(202);
    expect((await app.pushManifest("team/a", "v2", there)).status).toBe(201);
  });

  test("several tags of one push come in together or not at all", async () => {
    await using app = new TestApp();
    await limit(app, "team", { tags: 2 });
    const pushed = image(1);
    await app.pushImage("team/a", "v1", pushed);
    const put = (query: string) =>
      app.request("PUT", `/v2/team/a/manifests/${pushed.manifest.digest}?${query}`, {
        headers: { "Content-Type": pushed.mediaType },
        body: pushed.manifest.bytes,
      });
    await refusal(await put("tag=v2&tag=v3"));
    expect((await quota(app, "team")).used.tags).toBe(1);
    expect((await put("tag=v2&tag=v1")).status).toBe(201);
  });

  test("repositories: the one too many is refused before its bytes come, and when it is made by hand", async () => {
    await using app = new TestApp();
    await limit(app, "team", { repositories: 1 });
    await app.pushBlob("team/a", blob(10));
    const error = await refusal(await app.request("POST", "/v2/team/b/blobs/uploads/"));
    expect(error.message).toContain(`the namespace "team" may hold 1 repositories and holds 1;`);
    const byHand = await app.request("POST", "/api/v1/repositories", {
      headers: JSON_BODY,
      body: JSON.stringify({ name: "team/b" }),
    });
    await refusal(byHand);
    expect((await app.pushBlob("team/a", blob(20, 2))).status).toBe(201);
    await app.request("DELETE", "/api/v1/repositories/team/a");
    expect((await app.pushBlob("team/b", blob(10))).status).toBe(201);
    const undo = await app.request("POST", "/api/v1/deletions/1/undo");
    expect((await refusal(undo)).detail).toMatchObject({ resource: "repositories", used: 1 });
    expect((await app.request("GET", "/api/v1/repositories/team/a")).status).toBe(404);
    await limit(app, "team", { repositories: 2 });
    expect((await app.request("POST", "/api/v1/deletions/1/undo")).status).toBe(200);
  });

  test("of uploads that began together in new repositories the one too many ends when it is finished, and leaves nothing", async () => {
    await using app = new TestApp();
    await limit(app, "team", { repositories: 1 });
    const statuses: number[] = [];
    const locations = [await start(app, "team/a"), await start(app, "team/b")];
    for (const [at, location] of locations.entries()) {
      const { bytes, digest } = blob(100, at + 1);
      const finished = await app.request("PUT", `${location}?digest=${digest}`, { body: bytes });
      statuses.push(finished.status);
    }
    expect(statuses).toEqual([201, 403]);
    expect((await quota(app, "team")).used).toEqual({ bytes: 100, repositories: 1, tags: 0 });
    expect((await app.request("GET", locations[1] ?? "")).status).toBe(404);
    const keys: string[] = [];
    for await (const key of app.store.list()) keys.push(key);
    expect(keys).toHaveLength(1);
    app.clockAhead += 30 * HOUR_MS;
    await app.collect();
    expect((await app.pushBlob("team/a", blob(100, 2))).status).toBe(201);
  });

  test("of several quotas all must hold, and the narrowest may be the widest namespace's", async () => {
    await using app = new TestApp();
    await limit(app, "-", { tags: 2 });
    await limit(app, "team", { tags: 10 });
    await limit(app, "team/a", { tags: 1 });
    expect((await app.pushImage("team/a", "v1", image(1))).status).toBe(201);
    expect((await refusal(await app.pushImage("team/a", "v2", image(2)))).detail.namespace).toBe("team/a");
    expect((await app.pushImage("team/b", "v1", image(1))).status).toBe(201);
    const error = await refusal(await app.pushImage("other", "v1", image(1)));
    expect(error.message).toContain("the registry may hold 2 tags and holds 2;");
  });
});

describe("warnings", () => {
  test("a push that leaves a namespace at 90 % carries a Warning, one below it none", async () => {
    await using app = new TestApp();
    await limit(app, "team", { tags: 10 });
    const answers: (string | null)[] = [];
    for (let at = 1; at <= 10; at++) {
      answers.push((await app.pushImage("team/a", `v${at}`, image(1))).headers.get("Warning"));
    }
    const warning = (used: number) =>
      `299 - "quota: the namespace 'team' may hold 10 tags and holds ${used}"`;
    expect(answers).toEqual([...Array<null>(8).fill(null), warning(9), warning(10)]);
  });
});
