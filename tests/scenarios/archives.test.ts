import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { expectBlob, expectNothing, manifestOf, putArchive, storedKeys } from "../support/archives.ts";
import { blobOf, digestOf, imageOf, seededBytes, type TestBlob } from "../support/content.ts";
import { layoutParts, savedImage, tarOfParts } from "../support/tar.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
const OCI_INDEX = "application/vnd.oci.image.index.v1+json";

/** Large enough not to be kept in memory. */
const LAYERS = [1, 2].map((seed) => blobOf(seededBytes(20_000, seed)));

describe("import of a docker-archive", () => {
  const saved = savedImage(LAYERS);
  const archive = tarOfParts(saved.parts);

  test("stores config, layers and a manifest of Docker's schema 2, and answers as for a manifest", async () => {
    await using app = new TestApp();
    const response = await putArchive(app, "team/app/manifests/1.0?tag=2.0", archive);
    expect(response.status).toBe(201);
    const digest = response.headers.get("Docker-Content-Digest") ?? "";
    expect(response.headers.get("Location")).toBe(`/v2/team/app/manifests/${digest}`);
    expect(response.headers.get("OCI-Tag")).toBe("2.0");
    const { bytes, type, json } = await manifestOf(app, "team/app/manifests/1.0");
    expect<string>(digestOf(bytes)).toBe(digest);
    expect(type).toBe(DOCKER_MANIFEST);
    expect(json.config.digest).toBe(saved.config.digest);
    expect(json.layers).toEqual(
      LAYERS.map(({ bytes, digest }) => ({
        mediaType: "application/vnd.docker.image.rootfs.diff.tar",
        size: bytes.byteLength,
        digest,
      })),
    );
    for (const blob of [saved.config, ...LAYERS]) await expectBlob(app, "team/app", blob);
    expect((await storedKeys(app)).filter((key) => key.startsWith("uploads/"))).toEqual([]);
  });

  test("gives the same digest each time, gzipped as well, and stores what is there once", async () => {
    await using app = new TestApp();
    const types = ["application/x-tar", "application/tar", "application/gzip"];
    const digests = new Set<string | null>();
    for (const [at, type] of types.entries()) {
      const body = at === 2 ? new Uint8Array(gzipSync(archive)) : archive;
      const response = await putArchive(app, `team/app/manifests/t${at}`, body, {
        headers: { "Content-Type": type },
      });
      expect(response.status).toBe(201);
      digests.add(response.headers.get("Docker-Content-Digest"));
    }
    expect(digests.size).toBe(1);
    expect(await storedKeys(app)).toHaveLength(3);
  });

  test("by digest it must be that one; else the answer tells which it is", async () => {
    await using app = new TestApp();
    const wrong = await putArchive(app, `team/app/manifests/sha256:${"0".repeat(64)}`, archive);
    expect(wrong.status).toBe(400);
    const { errors } = (await wrong.json()) as { errors: { code: string; message: string }[] };
    expect(errors[0]?.code).toBe("DIGEST_INVALID");
    const digest = /sha256:[0-9a-f]{64}/.exec(errors[0]?.message ?? "")?.[0];
    await expectNothing(app);
    const right = await putArchive(app, `team/app/manifests/${digest}`, archive);
    expect(right.status).toBe(201);
    expect(right.headers.get("Docker-Content-Digest")).toBe(digest ?? "");
  });

  test("layers that are links to the same layer, and layers that are the same twice, are stored once", async () => {
    await using app = new TestApp();
    const [layer = blobOf("")] = LAYERS;
    const { parts } = savedImage([layer, layer]);
    const linked = parts.map((part) =>
      part.name === `${"1".repeat(64)}/layer.tar`
        ? { name: part.name, type: "2", linkName: `../${"0".repeat(64)}/layer.tar` }
        : part,
    );
    const first = await putArchive(app, "team/app/manifests/1", tarOfParts(linked));
    const second = await putArchive(app, "team/app/manifests/2", tarOfParts(parts));
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(first.headers.get("Docker-Content-Digest")).toBe(
      second.headers.get("Docker-Content-Digest") ?? "",
    );
    expect(await storedKeys(app)).toHaveLength(2);
  });

  test("packed layers keep their packing", async () => {
    await using app = new TestApp();
    const gzipped = blobOf(new Uint8Array(gzipSync(seededBytes(20_000, 3))));
    const response = await putArchive(app, "team/app/manifests/1", tarOfParts(savedImage([gzipped]).parts));
    expect(response.status).toBe(201);
    const { json } = await manifestOf(app, "team/app/manifests/1");
    expect(json.layers[0].mediaType).toBe("application/vnd.docker.image.rootfs.diff.tar.gzip");
  });

  test("of several images the one of that name is taken, or the one that ?image= says", async () => {
    await using app = new TestApp();
    const images = [1, 2, 3].map((seed) =>
      savedImage([blobOf(seededBytes(9_000, seed))], [`team/app:${seed}.0`]),
    );
    const entries = images.flatMap(({ parts }) =>
      parts.filter(({ name }) => name === "manifest.json").flatMap(({ bytes }) => JSON.parse(String(bytes))),
    );
    const files = images.flatMap(({ parts }, at) =>
      parts
        .filter(({ name }) => !["manifest.json", "repositories"].includes(name))
        .map((part) => ({ ...part, name: part.name.replace(/^0{64}/, String(at).repeat(64)) })),
    );
    const named = entries.map((entry, at) => ({ ...entry, Layers: [`${String(at).repeat(64)}/layer.tar`] }));
    const several = tarOfParts([...files, { name: "manifest.json", bytes: JSON.stringify(named) }]);
    const configOf = async (path: string) => (await manifestOf(app, path)).json.config.digest;
    expect((await putArchive(app, "team/app/manifests/2.0", several)).status).toBe(201);
    expect(await configOf("team/app/manifests/2.0")).toBe(images[1]?.config.digest);
    expect((await putArchive(app, "other/name/manifests/3.0", several)).status).toBe(201);
    expect(await configOf("other/name/manifests/3.0")).toBe(images[2]?.config.digest);
    expect((await putArchive(app, "team/app/manifests/x?image=team/app:1.0", several)).status).toBe(201);
    expect(await configOf("team/app/manifests/x")).toBe(images[0]?.config.digest);
    const unclear = await putArchive(app, "team/app/manifests/y", several);
    expect(unclear.status).toBe(404);
    const text = await unclear.text();
    for (const name of ["team/app:1.0", "team/app:2.0", "team/app:3.0"]) expect(text).toContain(name);
    expect((await putArchive(app, "team/app/manifests/y?image=nope", several)).status).toBe(404);
    expect(await storedKeys(app)).toHaveLength(6);
  });
});

describe("import of an OCI archive", () => {
  const images = [1, 2].map((seed) => imageOf([blobOf(seededBytes(20_000, seed)), blobOf(`small ${seed}`)]));
  const blobsOf = (image: (typeof images)[number]) => [image.manifest, image.config, ...image.layers];
  const describeManifest = ({ manifest, mediaType }: (typeof images)[number]) => ({
    mediaType,
    digest: manifest.digest,
    size: manifest.bytes.byteLength,
  });
  const index = blobOf(
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: images.map(describeManifest) }),
  );

  test("keeps the manifest's bytes", async () => {
    await using app = new TestApp();
    const [image = imageOf([])] = images;
    const parts = layoutParts([{ blob: image.manifest, mediaType: image.mediaType }], blobsOf(image));
    const response = await putArchive(app, "team/app/manifests/1.0", tarOfParts(parts));
    expect(response.status).toBe(201);
    expect(response.headers.get("Docker-Content-Digest")).toBe(image.manifest.digest);
    for (const blob of [image.config, ...image.layers]) await expectBlob(app, "team/app", blob);
  });

  test("an index comes with all its images, whatever the order of the entries", async () => {
    for (const isReversed of [false, true]) {
      await using app = new TestApp();
      const blobs = [index, ...images.flatMap(blobsOf)];
      const parts = layoutParts([{ blob: index, mediaType: OCI_INDEX, name: "1.0" }], blobs);
      const response = await putArchive(
        app,
        "team/app/manifests/1.0",
        tarOfParts(isReversed ? parts.toReversed() : parts),
      );
      expect(response.status).toBe(201);
      expect(response.headers.get("Docker-Content-Digest")).toBe(index.digest);
      for (const { manifest } of images) await manifestOf(app, `team/app/manifests/${manifest.digest}`);
    }
  });

  test("one image of an index is taken by its digest", async () => {
    await using app = new TestApp();
    const parts = layoutParts([{ blob: index, mediaType: OCI_INDEX }], [index, ...images.flatMap(blobsOf)]);
    const [, image = imageOf([])] = images;
    const response = await putArchive(app, `team/app/manifests/${image.manifest.digest}`, tarOfParts(parts));
    expect(response.status).toBe(201);
    expect(await storedKeys(app)).toHaveLength(3);
  });

  test("an index of which docker saved one platform becomes that platform's image", async () => {
    await using app = new TestApp();
    const [image = imageOf([])] = images;
    const parts = layoutParts([{ blob: index, mediaType: OCI_INDEX }], [index, ...blobsOf(image)]);
    const nameOf = ({ digest }: TestBlob) => `blobs/${digest.replace(":", "/")}`;
    const entry = { Config: nameOf(image.config), RepoTags: ["app:1"], Layers: image.layers.map(nameOf) };
    expect(await errorCode(await putArchive(app, "team/app/manifests/1", tarOfParts(parts)))).toBe(
      "MANIFEST_BLOB_UNKNOWN",
    );
    await expectNothing(app);
    const withDocker = [...parts, { name: "manifest.json", bytes: JSON.stringify([entry]) }];
    const response = await putArchive(app, "team/app/manifests/1", tarOfParts(withDocker));
    expect(response.headers.get("Docker-Content-Digest")).toBe(image.manifest.digest);
  });

  test("what the repository has is not written again, and not believed either", async () => {
    await using app = new TestApp();
    const [image = imageOf([])] = images;
    await app.pushImage("team/app", "0.9", image);
    const before = await storedKeys(app);
    const parts = layoutParts([{ blob: image.manifest, mediaType: image.mediaType }], blobsOf(image));
    expect((await putArchive(app, "team/app/manifests/1.0", tarOfParts(parts))).status).toBe(201);
    expect(await storedKeys(app)).toEqual(before);
    const wrong = parts.map((part) =>
      part.bytes === image.layers[0]?.bytes ? { ...part, bytes: seededBytes(20_000, 9) } : part,
    );
    expect(await errorCode(await putArchive(app, "team/app/manifests/2.0", tarOfParts(wrong)))).toBe(
      "DIGEST_INVALID",
    );
  });
});

const saved = savedImage(LAYERS);

describe("an import is a push", () => {
  const archive = tarOfParts(saved.parts);

  test("a read-only registry refuses it", async () => {
    await using app = new TestApp({ readOnly: true });
    expect((await putArchive(app, "team/app/manifests/1.0", archive)).status).toBe(405);
  });

  test("who may not push is refused", async () => {
    await using app = new TestApp({ authorize: ({ action }) => action !== "push" });
    expect((await putArchive(app, "team/app/manifests/1.0", archive)).status).toBe(403);
  });

  test("a quota that it would pass refuses it, and nothing is left", async () => {
    await using app = new TestApp();
    await app.registry.quotas.set("", { bytes: 30_000, repositories: null, tags: null });
    const response = await putArchive(app, "team/app/manifests/1.0", archive);
    expect(response.status).toBe(403);
    expect(await response.text()).toContain("quota exceeded");
    await expectNothing(app);
  });

  test("a client that goes away leaves nothing", async () => {
    await using app = new TestApp();
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(archive.slice(0, 30_000));
        setTimeout(() => controller.error(new Error("gone")), 5);
      },
    });
    expect(
      (
        await app.request("PUT", "/v2/team/app/manifests/1.0", {
          headers: { "Content-Type": "application/x-tar" },
          body,
        })
      ).status,
    ).toBe(400);
    await expectNothing(app);
  });

  test("an immutable tag stays, nothing is left of what should have moved it, and the same image is no move", async () => {
    await using app = new TestApp();
    const policies = { immutableTags: [{ repositories: ["**"], patterns: ["^v"] }] };
    const headers = { "Content-Type": "application/json" };
    const set = await app.request("PUT", "/api/v1/policies", { headers, body: JSON.stringify(policies) });
    expect(set.status).toBeLessThan(300);
    expect((await putArchive(app, "team/app/manifests/v1", archive)).status).toBe(201);
    const before = await storedKeys(app);
    const other = tarOfParts(savedImage([blobOf(seededBytes(20_000, 9))]).parts);
    for (const path of ["team/app/manifests/v1", "team/app/manifests/x?tag=v1"]) {
      expect(await errorCode(await putArchive(app, path, other))).toBe("TAG_IMMUTABLE");
    }
    expect(await storedKeys(app)).toEqual(before);
    expect((await putArchive(app, "team/app/manifests/v1", archive)).status).toBe(201);
  });

  test("the audit trail has it as a push", async () => {
    await using app = new TestApp();
    const response = await putArchive(app, "team/app/manifests/1.0", archive);
    await app.registry.audit.flush();
    const trail = (await (await app.request("GET", "/api/v1/audit")).json()) as { entries: unknown[] };
    const digest = response.headers.get("Docker-Content-Digest");
    expect(trail.entries[0]).toMatchObject({ action: "manifest.push", reference: "1.0", detail: { digest } });
  });
});
