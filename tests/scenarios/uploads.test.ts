import { afterEach, beforeEach, expect, test } from "bun:test";
import fc from "fast-check";
import { blobOf, digestOf, seededBytes } from "../support/content.ts";
import { errorCode, type RequestParts, TestApp } from "../support/test-app.ts";

const START = "/v2/t/r/blobs/uploads/";
const HELLO = blobOf("hello world");

let app: TestApp;
beforeEach(() => {
  app = new TestApp();
});
afterEach(async () => {
  await app[Symbol.asyncDispose]();
});

async function start(path = START): Promise<string> {
  const response = await app.request("POST", path);
  expect(response.status).toBe(202);
  return response.headers.get("Location") ?? "";
}

const patch = (location: string, body: string | Uint8Array<ArrayBuffer>, range?: string) =>
  app.request("PATCH", location, { body, headers: range === undefined ? {} : { "Content-Range": range } });
const put = (location: string, digest: string, parts: RequestParts = {}) =>
  app.request("PUT", `${location}?digest=${digest}`, parts);
const rangeOf = async (location: string) => (await app.request("GET", location)).headers.get("Range");
const readBlob = async (digest: string) => await (await app.request("GET", `/v2/t/r/blobs/${digest}`)).text();

test("POST opens a session with the headers that every client reads", async () => {
  for (const path of [START, START.slice(0, -1)]) {
    const response = await app.request("POST", path);
    const id = response.headers.get("Docker-Upload-UUID") ?? "";
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(response.headers.get("Location")).toBe(`${START}${id}`);
    expect(response.headers.get("Range")).toBe("0-0");
    expect(response.headers.get("Content-Length")).toBe("0");
  }
});

test("POST then PUT with the whole body", async () => {
  const location = await start();
  const response = await put(location, HELLO.digest.replace(":", "%3A"), { body: HELLO.bytes });
  expect([response.status, response.headers.get("Location")]).toEqual([201, `/v2/t/r/blobs/${HELLO.digest}`]);
  expect(response.headers.get("Docker-Content-Digest")).toBe(HELLO.digest);
  expect(await readBlob(HELLO.digest)).toBe("hello world");
});

test("POST ?digest with the whole body, also an empty one", async () => {
  expect((await app.pushBlob("t/r", HELLO)).status).toBe(201);
  expect((await app.pushBlob("t/r", blobOf(""))).status).toBe(201);
  const noBody = await app.request("POST", `/v2/t/x/blobs/uploads/?digest=${digestOf("")}`);
  expect(noBody.status).toBe(201);
});

test("PATCH as docker streams it: no Content-Range, then an empty PUT", async () => {
  const location = await start();
  const streamed = await app.request("PATCH", location, { body: new Blob(["hello world"]).stream() });
  expect([streamed.status, streamed.headers.get("Range")]).toEqual([202, "0-10"]);
  expect((await put(location, HELLO.digest)).status).toBe(201);
  expect(await readBlob(HELLO.digest)).toBe("hello world");
});

test("chunks with Content-Range, the last one in the PUT", async () => {
  const location = await start();
  expect((await patch(location, "hello", "0-4")).status).toBe(202);
  expect(await rangeOf(location)).toBe("0-4");
  const last = { body: " world", headers: { "Content-Range": "5-10" } };
  expect((await put(location, HELLO.digest, last)).status).toBe(201);
  expect(await readBlob(HELLO.digest)).toBe("hello world");
});

test("a gap, a replay and an early last chunk are 416 with the state, and the session goes on", async () => {
  const location = await start();
  for (const range of ["5-10", "1-6"]) {
    const gap = await patch(location, " world", range);
    expect([gap.status, gap.headers.get("Range"), gap.headers.get("Location")]).toEqual([
      416,
      "0-0",
      location,
    ]);
    expect(await errorCode(gap)).toBe("RANGE_INVALID");
  }
  await patch(location, "hello", "0-4");
  expect((await patch(location, "hello", "0-4")).status).toBe(416);
  const early = await put(location, HELLO.digest, { body: "d", headers: { "Content-Range": "10-10" } });
  expect([early.status, early.headers.get("Range")]).toEqual([416, "0-4"]);
  expect(await rangeOf(location)).toBe("0-4");
  expect((await patch(location, " world", "5-10")).status).toBe(202);
  expect((await put(location, HELLO.digest)).status).toBe(201);
});

test("a chunk that is not as long as it says is 400 and changes nothing", async () => {
  const location = await start();
  expect((await patch(location, "hello", "0-9")).status).toBe(400);
  expect((await patch(location, "hello", "0-1")).status).toBe(400);
  expect((await patch(location, "hello", "x")).status).toBe(400);
  expect(await rangeOf(location)).toBe("0-0");
  expect((await patch(location, "hello world", "0-10")).status).toBe(202);
  expect((await put(location, HELLO.digest)).status).toBe(201);
});

test("a wrong digest is 400, ends the session and leaves nothing readable", async () => {
  const wrong = digestOf("something else");
  const whole = await start();
  expect(await errorCode(await put(whole, wrong, { body: HELLO.bytes }))).toBe("DIGEST_INVALID");
  const chunked = await start();
  await patch(chunked, "hello world");
  expect(await errorCode(await put(chunked, wrong))).toBe("DIGEST_INVALID");
  for (const location of [whole, chunked]) {
    expect((await app.request("GET", location)).status).toBe(404);
    expect((await put(location, HELLO.digest)).status).toBe(404);
  }
  for (const digest of [wrong, HELLO.digest]) {
    expect((await app.request("GET", `/v2/t/r/blobs/${digest}`)).status).toBe(404);
  }
  expect(await Array.fromAsync(app.store.list())).toEqual([]);
});

test("PUT without a digest, with two or with a malformed one is 400 and the session goes on", async () => {
  const location = await start();
  await patch(location, "hello world");
  for (const query of [
    "",
    "?digest=",
    `?digest=${HELLO.digest}&digest=${HELLO.digest}`,
    "?digest=sha256:x",
  ]) {
    const response = await app.request("PUT", `${location}${query}`);
    expect([response.status, await errorCode(response)]).toEqual([400, "DIGEST_INVALID"]);
  }
  expect((await put(location, HELLO.digest)).status).toBe(201);
});

test("a repeated identical finalise is 201 again, another one is not", async () => {
  const location = await start();
  expect((await put(location, HELLO.digest, { body: HELLO.bytes })).status).toBe(201);
  expect((await put(location, HELLO.digest, { body: HELLO.bytes })).status).toBe(201);
  expect((await put(location, HELLO.digest)).status).toBe(201);
  expect((await put(location, digestOf("other"))).status).toBe(404);
  expect((await patch(location, "more")).status).toBe(404);
  expect((await app.request("GET", location)).status).toBe(404);
  expect((await app.request("DELETE", location)).status).toBe(404);
});

test("a cancelled session is gone with its bytes", async () => {
  const location = await start();
  await patch(location, "hello world");
  expect((await app.request("DELETE", location)).status).toBe(204);
  expect((await app.request("DELETE", location)).status).toBe(404);
  expect((await put(location, HELLO.digest)).status).toBe(404);
  expect(await Array.fromAsync(app.store.list())).toEqual([]);
});

test("a session belongs to its repository and its caller", async () => {
  const location = await start();
  const elsewhere = location.replace("/t/r/", "/t/other/");
  for (const method of ["GET", "PATCH", "PUT", "DELETE"]) {
    const path = method === "PUT" ? `${elsewhere}?digest=${HELLO.digest}` : elsewhere;
    const response = await app.request(method, path, method === "GET" ? {} : { body: "x" });
    expect([response.status, await errorCode(response)]).toEqual([404, "BLOB_UPLOAD_UNKNOWN"]);
  }
});

test("two writers on one session: one advances, the other is told the state", async () => {
  const location = await start();
  const results = await Promise.all([patch(location, "hello", "0-4"), patch(location, "HELLO", "0-4")]);
  expect(results.map((response) => response.status).toSorted()).toEqual([202, 416]);
  const digests = [digestOf("hello"), digestOf("HELLO")];
  const winner = digests[results[0]?.status === 202 ? 0 : 1] ?? "";
  expect((await put(location, winner)).status).toBe(201);
});

test("finalise, cancel and expiry at once: one of them wins", async () => {
  for (let round = 0; round < 20; round++) {
    const blob = blobOf(`round ${round}`);
    const location = await start();
    await patch(location, `round ${round}`);
    const [finished, cancelled] = await Promise.all([
      put(location, blob.digest),
      app.request("DELETE", location),
    ]);
    expect([finished.status, cancelled.status]).toEqual(finished.status === 201 ? [201, 404] : [404, 204]);
    const stored = await app.request("HEAD", `/v2/t/r/blobs/${blob.digest}`);
    expect(stored.status).toBe(finished.status === 201 ? 200 : 404);
  }
});

test("many pushes of one blob at once, to new repositories, are all 201", async () => {
  const blob = blobOf(seededBytes(100_000, 7));
  const names = Array.from({ length: 16 }, (_, at) => `new/repository-${at % 4}`);
  const responses = await Promise.all(names.map((name) => app.pushBlob(name, blob)));
  expect(responses.map((response) => response.status)).toEqual(names.map(() => 201));
  for (const name of names)
    expect((await app.request("HEAD", `/v2/${name}/blobs/${blob.digest}`)).status).toBe(200);
});

test("a client that goes away in a PATCH keeps what arrived and can go on", async () => {
  const location = await start();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode("hello "));
    },
    async pull(controller) {
      await Bun.sleep(5);
      controller.error(new Error("connection reset"));
    },
  });
  expect((await app.request("PATCH", location, { body })).status).toBe(400);
  expect(await rangeOf(location)).toBe("0-5");
  expect((await patch(location, "world", "6-10")).status).toBe(202);
  expect((await put(location, HELLO.digest)).status).toBe(201);
});

test("an expired session is gone", async () => {
  const location = await start();
  await patch(location, "hello world");
  app.clockAhead = 8 * 24 * 3_600_000;
  expect((await app.request("GET", location)).status).toBe(404);
  expect((await put(location, HELLO.digest)).status).toBe(404);
});

test("the algorithm may be announced, or only appear at the end", async () => {
  const digest = digestOf("hello world", "sha512");
  for (const path of [`${START}?digest-algorithm=sha512`, START]) {
    const location = await start(path);
    await patch(location, "hello ");
    await patch(location, "world");
    expect((await put(location, digest)).status).toBe(201);
    expect(await readBlob(digest)).toBe("hello world");
  }
});

test("any chunking of any bytes gives the right digest", async () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(chunks, fc.boolean(), async (pieces, lastInPut) => {
      const location = await start();
      const bytes = Buffer.concat(pieces);
      const last = lastInPut ? pieces.at(-1) : undefined;
      for (const piece of lastInPut ? pieces.slice(0, -1) : pieces) {
        expect((await patch(location, Uint8Array.from(piece))).status).toBe(202);
      }
      const parts = last === undefined ? {} : { body: Uint8Array.from(last) };
      expect((await put(location, digestOf(bytes), parts)).status).toBe(201);
      const stored = await app.request("GET", `/v2/t/r/blobs/${digestOf(bytes)}`);
      expect(Buffer.from(await stored.bytes()).equals(bytes)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test("a repeated finalise is a lease again, and is not answered with 201 once the blob is gone", async () => {
  const location = await start();
  expect((await put(location, HELLO.digest, { body: HELLO.bytes })).status).toBe(201);
  app.clockAhead += 50 * 60_000;
  expect((await put(location, HELLO.digest)).status).toBe(201);
  expect((await app.request("DELETE", `/v2/t/r/blobs/${HELLO.digest}`)).status).toBe(202);
  expect(await errorCode(await put(location, HELLO.digest))).toBe("BLOB_UPLOAD_UNKNOWN");
});
