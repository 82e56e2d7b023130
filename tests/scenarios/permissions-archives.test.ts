import { describe, expect, test } from "bun:test";
import { EMPTY_LAYER } from "@stowage/server/registry/empty-layer";
import { api } from "../support/api.ts";
import { putArchive, storedKeys } from "../support/archives.ts";
import { blobOf, imageOf, seededBytes, type TestBlob } from "../support/content.ts";
import { dockerImage } from "../support/docker-image.ts";
import { basic, bearer, createAccount, setRules, tokenFor } from "../support/sign-in.ts";
import { layoutParts, savedImage, tarOfParts } from "../support/tar.ts";
import { errorCode, type RequestParts, TestApp, type TestAppOptions } from "../support/test-app.ts";

/** Archives and schema 1 take no other way through the rules than manifests and blobs. */

const INDEX = "application/vnd.oci.image.index.v1+json";
const SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
const TAR: RequestParts = { headers: { Accept: "application/x-tar" } };
const LAYER = blobOf(seededBytes(20_000, 7));
const ARCHIVE = tarOfParts(savedImage([LAYER]).parts);

async function openApp(options: TestAppOptions = {}): Promise<TestApp> {
  const app = new TestApp({ auth: {}, ...options });
  await createAccount(app, "root", { isAdmin: true });
  for (const name of ["reader", "writer", "stranger"]) await createAccount(app, name);
  await setRules(app, [
    ["user:reader", "team/**", "reader"],
    ["user:writer", "team/**", "writer"],
  ]);
  return app;
}

const withHeaders = (parts: RequestParts, headers: Readonly<Record<string, string>>): RequestParts => ({
  ...parts,
  headers: { ...parts.headers, ...headers },
});

const tarFrom = (parts: RequestParts) => withHeaders(parts, { "Content-Type": "application/x-tar" });

async function send(app: TestApp, path: string, parts: RequestParts, archive = ARCHIVE) {
  return await putArchive(app, path, archive, tarFrom(parts));
}

async function expectEmpty(app: TestApp): Promise<void> {
  expect(await storedKeys(app)).toEqual([]);
  const { body } = await api(app, "GET", "/repositories", { isLocal: true });
  expect(body.repositories).toEqual([]);
}

describe("an archive in place of a manifest", () => {
  test("is refused to who may only pull, or nothing, before a byte of it is read", async () => {
    await using app = await openApp();
    const narrow = await tokenFor(app, basic("writer"), "repository:team/app:pull");
    for (const [parts, status] of [
      [{}, 401],
      [basic("reader"), 403],
      [basic("stranger"), 403],
      [bearer(narrow), 401],
    ] as const) {
      let isRead = false;
      const body = new ReadableStream(
        {
          pull: () => {
            isRead = true;
          },
        },
        new CountQueuingStrategy({ highWaterMark: 0 }),
      );
      const path = "/v2/team/app/manifests/v1?tag=v2";
      const response = await app.request("PUT", path, { ...tarFrom(parts), body });
      expect([response.status, isRead]).toEqual([status, false]);
      await expectEmpty(app);
    }
    expect((await send(app, "other/app/manifests/v1", basic("writer"))).status).toBe(403);
    await expectEmpty(app);
    expect((await send(app, "team/app/manifests/v1", basic("writer"))).status).toBe(201);
  });

  test("is refused by a registry that is read-only, and by who may not push there without saying so", async () => {
    await using app = await openApp({ readOnly: true });
    const refused = await send(app, "team/app/manifests/v1", basic("writer"));
    expect([refused.status, await errorCode(refused)]).toEqual([405, "UNSUPPORTED"]);
    expect((await send(app, "team/app/manifests/v1", basic("reader"))).status).toBe(403);
    await expectEmpty(app);
  });

  test("counts in quotas with every byte, and is refused as a whole where it does not fit", async () => {
    await using app = await openApp();
    const quota = async () => {
      const { body } = await api(app, "GET", "/quotas/team", basic("root"));
      return body.used as { bytes: number; repositories: number; tags: number };
    };
    const limit = async (body: object) =>
      expect((await api(app, "PUT", "/quotas/team", { ...basic("root"), body })).status).toBe(200);
    for (const body of [{ bytes: 15_000 }, { repositories: 0 }, { tags: 0 }]) {
      await limit(body);
      const response = await send(app, "team/app/manifests/v1", basic("writer"));
      expect([body, response.status, await errorCode(response)]).toEqual([body, 403, "DENIED"]);
      expect(await quota()).toMatchObject({ tags: 0 });
    }
    await limit({ bytes: 1_000_000 });
    const before = (await quota()).bytes;
    const response = await send(app, "team/app2/manifests/v1?tag=v2", basic("writer"));
    expect(response.status).toBe(201);
    const manifest = await app.request("GET", "/v2/team/app2/manifests/v1", basic("reader"));
    const size = Number(manifest.headers.get("Content-Length"));
    const { config } = savedImage([LAYER]);
    const used = await quota();
    expect(used.bytes - before).toBe(size + LAYER.bytes.byteLength + config.bytes.byteLength);
    expect(used.tags).toBe(2);
  });

  test("leaves an immutable tag where it is, the named one and one of ?tag=", async () => {
    await using app = await openApp();
    const body = { immutableTags: [{ repositories: ["team/**"], patterns: ["^v"] }] };
    const set = await api(app, "PUT", "/policies", { ...basic("root"), body });
    expect(set.status).toBe(200);
    expect((await send(app, "team/app/manifests/v1", basic("writer"))).status).toBe(201);
    const stored = await storedKeys(app);
    const another = tarOfParts(savedImage([blobOf(seededBytes(9_000, 8))]).parts);
    for (const path of ["team/app/manifests/v1", "team/app/manifests/latest?tag=v1"]) {
      const response = await send(app, path, basic("writer"), another);
      expect([path, response.status, await errorCode(response)]).toEqual([path, 409, "TAG_IMMUTABLE"]);
      expect(await storedKeys(app)).toEqual(stored);
    }
    expect((await app.request("HEAD", "/v2/team/app/manifests/latest", basic("reader"))).status).toBe(404);
    expect((await send(app, "team/app/manifests/v1", basic("writer"))).status).toBe(201);
  });

  test("is in the audit trail like a push of its parts, and so is its refusal", async () => {
    await using app = await openApp();
    const response = await send(app, "team/app/manifests/v1", { ...basic("writer"), address: "192.0.2.9" });
    await send(app, "team/app/manifests/v1", basic("reader"));
    await app.registry.audit.flush({ isLast: true });
    const { body } = await api(app, "GET", "/audit", basic("root"));
    const entries = (body.entries as Record<string, unknown>[]).toReversed();
    expect(entries).toHaveLength(2);
    expect(entries[0]).toMatchObject({
      action: "manifest.push",
      caller: "writer",
      address: "192.0.2.9",
      repository: "team/app",
      reference: "v1",
      status: 201,
      detail: { digest: response.headers.get("Docker-Content-Digest") },
    });
    expect(entries[1]).toMatchObject({
      action: "denied",
      caller: "reader",
      repository: "team/app",
      status: 403,
      detail: { wanted: "push" },
    });
  });
});

describe("an archive that names what only another repository has", () => {
  const layer = blobOf(seededBytes(20_000, 3));
  const secret = imageOf([layer]);
  const named = (blob: TestBlob, mediaType: string) => [{ blob, mediaType, name: "v1" }];

  /** Each leaves something else out that `other/app` has. */
  const index = blobOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: INDEX,
      manifests: [
        {
          mediaType: secret.mediaType,
          digest: secret.manifest.digest,
          size: secret.manifest.bytes.byteLength,
        },
      ],
    }),
  );
  const savedParts = savedImage([layer]).parts;
  const archives: readonly (readonly [string, Uint8Array<ArrayBuffer>])[] = [
    [
      "a layer",
      tarOfParts(layoutParts(named(secret.manifest, secret.mediaType), [secret.manifest, secret.config])),
    ],
    [
      "the config",
      tarOfParts(layoutParts(named(secret.manifest, secret.mediaType), [secret.manifest, layer])),
    ],
    ["every blob", tarOfParts(layoutParts(named(secret.manifest, secret.mediaType), [secret.manifest]))],
    [
      "the manifest",
      tarOfParts(layoutParts(named(secret.manifest, secret.mediaType), [layer, secret.config])),
    ],
    ["a child of an index", tarOfParts(layoutParts(named(index, INDEX), [index, layer, secret.config]))],
    ["a layer of docker save", tarOfParts(savedParts.filter(({ name }) => !name.endsWith("layer.tar")))],
  ];

  test.each([false, true])("links nothing of it, sparse images allowed: %p", async (allowSparse) => {
    await using app = await openApp({ allowSparse });
    await app.pushImage("other/app", "v1", secret, { isLocal: true });
    await app.request("PUT", "/v2/other/app/manifests/index", {
      isLocal: true,
      headers: { "Content-Type": INDEX },
      body: index.bytes,
    });
    await send(app, "other/saved/manifests/v1", { isLocal: true }, tarOfParts(savedParts));
    const absent = await openApp({ allowSparse });
    for (const [what, archive] of archives) {
      const [there, nowhere] = await Promise.all(
        [app, absent].map(async (registry) => {
          const response = await send(registry, "team/app/manifests/v1", basic("writer"), archive);
          return `${response.status} ${await response.text()}`;
        }),
      );
      // Whether somebody else has it makes no difference to what is said.
      expect([what, there]).toEqual([what, nowhere ?? ""]);
      if (!allowSparse) expect([what, there?.slice(0, 2)]).toEqual([what, "40"]);
    }
    await using other = absent;
    for (const blob of [layer, secret.config]) {
      const path = `/v2/team/app/blobs/${blob.digest}`;
      const statuses = await Promise.all(
        [app, other].map(async (registry) => (await registry.request("GET", path, basic("writer"))).status),
      );
      expect(statuses[0]).toBe(statuses[1] ?? 0);
      if (!allowSparse) expect(statuses[0]).toBe(404);
    }
  });

  test("an export leaves out what the repository itself does not have", async () => {
    await using app = await openApp({ allowSparse: true });
    await app.pushImage("other/app", "v1", secret, { isLocal: true });
    // The manifest and the index alone: their content is elsewhere in the registry.
    await app.pushManifest("team/app", "sparse", secret, { isLocal: true });
    const put = { isLocal: true, headers: { "Content-Type": INDEX }, body: index.bytes };
    expect((await app.request("PUT", "/v2/team/lone/manifests/index", put)).status).toBe(201);
    for (const path of ["team/app/manifests/sparse", "team/lone/manifests/index"]) {
      const response = await app.request(
        "GET",
        `/v2/${path}`,
        withHeaders(basic("reader"), TAR.headers ?? {}),
      );
      expect(response.status).toBe(200);
      const bytes = Buffer.from(await response.arrayBuffer());
      for (const { bytes: hidden } of [layer, secret.config]) expect(bytes.includes(hidden)).toBe(false);
      if (path.includes("lone")) expect(bytes.includes(secret.manifest.bytes)).toBe(false);
    }
    const platform = "/v2/team/lone/manifests/index?platform=linux/amd64";
    const one = await app.request("GET", platform, withHeaders(basic("reader"), TAR.headers ?? {}));
    expect(one.status).toBe(404);
  });
});

describe("an image as an archive, and as schema 1", () => {
  const image = dockerImage({
    layers: [LAYER],
    history: [{ created_by: "ADD" }, { created_by: "ENV", empty_layer: true }],
  });

  async function withImages(): Promise<TestApp> {
    const app = await openApp();
    for (const name of ["team/app", "other/app"]) await app.pushImage(name, "v1", image, { isLocal: true });
    return app;
  }

  test.each(["application/x-tar", SCHEMA1])(
    "needs pull for %s, and tells nobody else anything",
    async (type) => {
      await using app = await withImages();
      const narrow = bearer(await tokenFor(app, basic("writer"), "repository:team/other:pull"));
      for (const method of ["GET", "HEAD"]) {
        for (const etag of [null, "*", `"${image.manifest.digest}"`]) {
          const headers = { Accept: type, ...(etag === null ? {} : { "If-None-Match": etag }) };
          const ask = (path: string, parts: RequestParts) =>
            app.request(method, `/v2/${path}`, withHeaders(parts, headers));
          for (const [parts, status] of [
            [{}, 401],
            [basic("stranger"), 403],
            [basic("writer"), 403],
          ] as const) {
            for (const reference of ["v1", image.manifest.digest]) {
              const answers = await Promise.all(
                ["other/app", "other/none"].map(async (name) => {
                  const response = await ask(`${name}/manifests/${reference}`, parts);
                  expect(response.status).toBe(status);
                  for (const header of ["ETag", "Docker-Content-Digest", "Content-Disposition"])
                    expect(response.headers.has(header)).toBe(false);
                  return `${response.headers.get("WWW-Authenticate")} ${await response.text()}`.replaceAll(
                    name,
                    "",
                  );
                }),
              );
              expect(answers[0]).toBe(answers[1] ?? "");
            }
          }
          expect((await ask("team/app/manifests/v1", narrow)).status).toBe(401);
          const { status } = await ask("team/app/manifests/v1", basic("reader"));
          expect([200, 304]).toContain(status);
        }
      }
    },
  );

  test("the empty layer is shown in repositories that may be pulled, and in no other", async () => {
    await using app = await withImages();
    const shown = await app.request(
      "GET",
      "/v2/team/app/manifests/v1",
      withHeaders(basic("reader"), { Accept: SCHEMA1 }),
    );
    expect(shown.headers.get("Content-Type")).toBe(SCHEMA1);
    expect(await shown.text()).toContain(EMPTY_LAYER);
    const statuses = async (name: string, parts: RequestParts) =>
      await Promise.all(
        ["GET", "HEAD"].flatMap((method) =>
          [{}, { "If-None-Match": `"${EMPTY_LAYER}"` }].map(
            async (headers: Readonly<Record<string, string>>) =>
              (await app.request(method, `/v2/${name}/blobs/${EMPTY_LAYER}`, withHeaders(parts, headers)))
                .status,
          ),
        ),
      );
    expect(await statuses("team/app", basic("reader"))).toEqual([200, 304, 200, 200]);
    // That it is there says nothing of whether the repository is.
    expect(await statuses("team/none", basic("reader"))).toEqual([200, 304, 200, 200]);
    for (const name of ["other/app", "other/none"]) {
      expect(await statuses(name, {})).toEqual([401, 401, 401, 401]);
      expect(await statuses(name, basic("writer"))).toEqual([403, 403, 403, 403]);
    }
    const refused = await app.request("DELETE", `/v2/team/app/blobs/${EMPTY_LAYER}`, basic("reader"));
    expect(refused.status).toBe(403);
    for (const name of ["other/app", "other/none"]) {
      const mount = `/v2/team/app/blobs/uploads/?mount=${EMPTY_LAYER}&from=${name}`;
      expect((await app.request("POST", mount, basic("writer"))).status).toBe(202);
    }
  });
});

test("a path that is nearly one is told what was meant, in the same words whether the repository is there", async () => {
  await using app = await openApp();
  await app.pushImage("other/app", "v1", imageOf([LAYER]), { isLocal: true });
  for (const parts of [{}, basic("stranger"), basic("writer"), basic("root")]) {
    for (const tail of [
      "tag/list",
      "tags",
      "manifest/v1",
      `blob/${LAYER.digest}`,
      "blob/uploads/",
      `referrer/${LAYER.digest}`,
    ]) {
      for (const method of ["GET", "PUT", "DELETE"]) {
        const answers = await Promise.all(
          ["other/app", "other/none"].map(async (name) => {
            const response = await app.request(method, `/v2/${name}/${tail}`, parts);
            expect([tail, response.status]).toEqual([tail, 404]);
            return (await response.text()).replaceAll(name, "");
          }),
        );
        expect(answers[0]).toBe(answers[1] ?? "");
        expect(answers[0]).toContain("ROUTE_UNKNOWN");
      }
    }
  }
});
