import { describe, expect, test } from "bun:test";
import { startRegistry } from "@stowage/server/testing";
import { blobOf, digestOf } from "../../support/content.ts";
import { dockerImage, pushTo } from "../../support/docker-image.ts";
import { sendRow, tableDifferences, type TableRow } from "../../support/method-table.ts";
import { openSchema1, PRETTY_JWS } from "../../support/schema1.ts";
import { answerOf, type HttpAnswer, shell } from "../../support/shell.ts";
import { program, suite } from "../../support/suite.ts";
import { errorCode, TestApp } from "../../support/test-app.ts";

/** A book's chapter of 2016: the first requests to a registry with `curl -i`, and the table of its methods. */

/** What schema 1 has for a step that changed no file. */
const EMPTY = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4";

/** The image of the chapter: one layer, then a step that changes nothing. */
const LAYER = blobOf("a program that says hello");
const HELLO = dockerImage({
  layers: [LAYER],
  history: [
    { created: "2016-10-07T21:03:57Z", created_by: "COPY hello /" },
    { created: "2016-10-07T21:03:58Z", created_by: 'CMD ["/hello"]', empty_layer: true },
  ],
});

async function startWithHello(...args: readonly string[]) {
  const registry = await startRegistry({ args });
  await pushTo(registry, "hello-world", "latest", HELLO);
  return registry;
}

suite("the chapter's curl calls", [program("curl")], () => {
  async function curl(registry: { readonly host: string }, path: string): Promise<HttpAnswer> {
    const line = `curl -i http://localhost:5000${path}`.replace("localhost:5000", registry.host);
    const ran = await shell(line);
    expect(ran.code).toBe(0);
    return answerOf(ran.stdout);
  }

  test("the version check has the status, body and headers that are shown, X-Content-Type-Options included", async () => {
    await using registry = await startWithHello();
    const { statusLine, headers, body } = await curl(registry, "/v2/");
    expect([statusLine, body]).toEqual(["HTTP/1.1 200 OK", "{}"]);
    expect(Object.fromEntries(headers)).toMatchObject({
      "content-length": "2",
      "content-type": "application/json; charset=utf-8",
      "docker-distribution-api-version": "registry/2.0",
      "x-content-type-options": "nosniff",
    });
    expect(headers.get("Date")).toMatch(/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/);
  });

  test("the catalog has the body and headers that are shown, and no newline behind the body", async () => {
    await using registry = await startWithHello();
    const { statusLine, headers, body } = await curl(registry, "/v2/_catalog");
    expect([statusLine, body]).toEqual(["HTTP/1.1 200 OK", '{"repositories":["hello-world"]}']);
    expect(Object.fromEntries(headers)).toMatchObject({
      "content-length": "32",
      "content-type": "application/json; charset=utf-8",
      "docker-distribution-api-version": "registry/2.0",
      "x-content-type-options": "nosniff",
    });
    expect(headers.has("Date")).toBe(true);
  });

  test("--schema1 table: a manifest by its tag is the signed schema 1 that is shown, with its headers", async () => {
    await using registry = await startWithHello("--schema1", "table");
    const { statusLine, headers, body } = await curl(registry, "/v2/hello-world/manifests/latest");
    expect([statusLine, headers.get("Content-Type")]).toEqual(["HTTP/1.1 200 OK", PRETTY_JWS]);
    expect(headers.get("Content-Length")).toBe(String(Buffer.byteLength(body)));
    expect(headers.get("Docker-Distribution-Api-Version")).toBe("registry/2.0");
    expect(headers.has("Date")).toBe(true);
    const { payload, kids } = openSchema1(Buffer.from(body));
    expect<string | null>(headers.get("Docker-Content-Digest")).toBe(digestOf(payload));
    expect(kids).toHaveLength(1);
    const manifest = JSON.parse(body);
    expect(Object.keys(manifest)).toEqual([
      ...["schemaVersion", "name", "tag", "architecture", "fsLayers", "history", "signatures"],
    ]);
    expect(manifest).toMatchObject({
      schemaVersion: 1,
      name: "hello-world",
      tag: "latest",
      architecture: "amd64",
      fsLayers: [{ blobSum: EMPTY }, { blobSum: LAYER.digest }],
      history: [{ v1Compatibility: expect.any(String) }, { v1Compatibility: expect.any(String) }],
    });
  });

  test("by default a manifest by its tag is what was pushed, whatever curl accepts", async () => {
    await using registry = await startWithHello();
    const { headers, body } = await curl(registry, "/v2/hello-world/manifests/latest");
    expect([headers.get("Content-Type"), headers.get("Docker-Content-Digest")]).toEqual([
      HELLO.mediaType,
      HELLO.manifest.digest,
    ]);
    expect(digestOf(body)).toBe(HELLO.manifest.digest);
  });

  test("the answer has more headers than are shown, for caches and for the log", async () => {
    await using registry = await startWithHello();
    const { headers } = await curl(registry, "/v2/hello-world/manifests/latest");
    expect(Object.fromEntries(headers)).toMatchObject({
      "cache-control": "no-cache",
      etag: `"${HELLO.manifest.digest}"`,
      vary: "Accept",
      "x-content-type-options": "nosniff",
      "x-request-id": expect.any(String),
    });
  });

  test("each blobSum of the manifest is pulled from blobs, the empty layer that nobody pushed as well", async () => {
    await using registry = await startWithHello("--schema1", "table");
    const { body } = await curl(registry, "/v2/hello-world/manifests/latest");
    for (const { blobSum } of JSON.parse(body).fsLayers) {
      const answer = await fetch(`${registry.url}/v2/hello-world/blobs/${blobSum}`);
      expect([answer.status, digestOf(await answer.bytes())]).toEqual([200, blobSum]);
    }
  });
});

describe("the version check's other answers", () => {
  test("401 with a challenge where one has to sign in", async () => {
    await using app = new TestApp({ auth: {} });
    const answer = await app.request("GET", "/v2/");
    expect([answer.status, answer.headers.get("Docker-Distribution-Api-Version")]).toEqual([
      401,
      "registry/2.0",
    ]);
    expect(answer.headers.get("WWW-Authenticate")).toStartWith("Bearer ");
    expect(await errorCode(answer)).toBe("UNAUTHORIZED");
  });

  test("404 where that version is not spoken: there is no /v1/", async () => {
    await using app = new TestApp();
    const answer = await app.request("GET", "/v1/_ping");
    expect([answer.status, await errorCode(answer)]).toEqual([404, "ROUTE_UNKNOWN"]);
  });
});

/** As the chapter spells them; its tag/list is below. */
const ROWS: readonly TableRow[] = [
  ["GET", "/v2/"],
  ["GET", "/v2/<name>/manifests/<reference>"],
  ["PUT", "/v2/<name>/manifests/<reference>"],
  ["DELETE", "/v2/<name>/manifests/<reference>"],
  ["GET", "/v2/<name>/blobs/<digest>"],
  ["DELETE", "/v2/<name>/blobs/<digest>"],
  ["POST", "/v2/<name>/blobs/uploads"],
  ["GET", "/v2/<name>/blobs/uploads/<uuid>"],
  ["PATCH", "/v2/<name>/blobs/uploads/<uuid>"],
  ["PUT", "/v2/<name>/blobs/uploads/<uuid>"],
  ["DELETE", "/v2/<name>/blobs/uploads/<uuid>"],
  ["GET", "/v2/_catalog"],
];

describe("the chapter's table of methods", () => {
  test.each(ROWS)("%s %s, uploads without the slash at the end", async (method, path) => {
    expect(await tableDifferences([method, path])).toEqual([]);
  });

  test.each(["GET", "PUT", "DELETE"])(
    "%s of a manifest takes a digest as its reference too",
    async (method) => {
      expect(
        await tableDifferences([method, "/v2/<name>/manifests/<reference>"], { reference: "digest" }),
      ).toEqual([]);
    },
  );

  test("DELETE of a manifest by a tag takes the tag alone away, by its digest all tags", async () => {
    const path = "/v2/<name>/manifests/<reference>";
    expect((await sendRow(["DELETE", path])).tags).toMatchObject({ tags: ["1.0"] });
    const { tags } = await sendRow(["DELETE", path], { reference: "digest" });
    expect(tags).not.toMatchObject({ tags: expect.arrayContaining(["latest"]) });
  });

  test("a blob that a manifest needs is not deleted: the manifest comes first", async () => {
    await using app = new TestApp();
    await app.pushImage("hello-world", "latest", HELLO);
    const blob = `/v2/hello-world/blobs/${LAYER.digest}`;
    const refused = await app.request("DELETE", blob);
    expect([refused.status, await errorCode(refused)]).toEqual([405, "BLOB_IN_USE"]);
  });

  test("an upload that was started has a location, and is completed there", async () => {
    await using app = new TestApp();
    const started = await app.request("POST", "/v2/hello-world/blobs/uploads");
    const location = started.headers.get("Location") ?? "";
    expect(location).toMatch(/^\/v2\/hello-world\/blobs\/uploads\/[^/]+$/);
    const done = await app.request("PUT", `${location}?digest=${LAYER.digest}`, { body: LAYER.bytes });
    expect([done.status, done.headers.get("Docker-Content-Digest")]).toEqual([201, LAYER.digest]);
  });

  test("the catalog is sorted", async () => {
    await using app = new TestApp();
    for (const name of ["b", "a-b", "a/b", "a"]) await app.pushImage(name, "v1", HELLO);
    const answer = await app.request("GET", "/v2/_catalog");
    expect(await answer.json()).toEqual({ repositories: ["a", "a-b", "a/b", "b"] });
  });
});

describe("the chapter's tag/list", () => {
  test("is no endpoint; the answer says tags/list, whether there is such a repository or not", async () => {
    await using app = new TestApp({ auth: {} });
    for (const name of ["hello-world", "team/none", "x/tag"]) {
      const answer = await app.request("GET", `/v2/${name}/tag/list`);
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({
        errors: [{ code: "ROUTE_UNKNOWN", message: "no such endpoint: wanted /v2/<name>/tags/list" }],
      });
    }
  });

  test("a repository may be called x/tag, and has its own tags", async () => {
    await using app = new TestApp();
    await app.pushImage("x", "of-x", HELLO);
    await app.pushImage("x/tag", "of-x-tag", HELLO);
    const answer = await app.request("GET", "/v2/x/tag/tags/list");
    expect(await answer.json()).toEqual({ name: "x/tag", tags: ["of-x-tag"] });
  });

  test("spelled right, it lists the tags of the name", async () => {
    const answer = await sendRow(["GET", "/v2/<name>/tags/list"]);
    expect(JSON.parse(Buffer.from(answer.body).toString())).toEqual({
      name: "hello-world",
      tags: ["1.0", "latest"],
    });
  });
});
