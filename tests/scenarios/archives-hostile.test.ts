import { describe, expect, test } from "bun:test";
import { constants, gzipSync } from "node:zlib";
import fc from "fast-check";
import { expectNothing, manifestOf, putArchive } from "../support/archives.ts";
import { blobOf, digestOf, imageOf, seededBytes } from "../support/content.ts";
import { layoutParts, pax, savedImage, type TarPart, tarOfParts } from "../support/tar.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const INDEX = "application/vnd.oci.image.index.v1+json";

/** Large enough not to be kept in memory. */
const LAYERS = [1, 2].map((seed) => blobOf(seededBytes(20_000, seed)));

const saved = savedImage(LAYERS);
const [oneImage] = [imageOf(LAYERS)];
const layout = layoutParts(
  [{ blob: oneImage.manifest, mediaType: oneImage.mediaType, name: "1.0" }],
  [oneImage.manifest, oneImage.config, ...LAYERS],
);
const without = (name: RegExp, parts: readonly TarPart[] = saved.parts) =>
  parts.filter((part) => !name.test(part.name));
const replaced = (
  name: RegExp,
  change: (part: TarPart) => TarPart,
  parts: readonly TarPart[] = saved.parts,
) => parts.map((part) => (name.test(part.name) ? change(part) : part));
const manifestJson = (change: (entry: { Config: string; Layers: string[]; RepoTags: string[] }) => unknown) =>
  replaced(/^manifest\.json$/, ({ name, bytes }) => ({
    name,
    bytes: JSON.stringify([change(JSON.parse(String(bytes))[0])]),
  }));

const HOSTILE: Readonly<Record<string, readonly [readonly TarPart[], code: string, message?: RegExp]>> = {
  "nothing in it": [[], "MANIFEST_INVALID", /neither "index.json" nor "manifest.json"/],
  "docker save of before 1.10": [without(/^manifest\.json$/), "MANIFEST_INVALID", /1\.10/],
  "a path that leads out": [[...saved.parts, { name: "../../etc/cron.d/x", bytes: "x" }], "MANIFEST_INVALID"],
  "an absolute path": [[...saved.parts, { name: "/etc/cron.d/x", bytes: "x" }], "MANIFEST_INVALID"],
  "a link that leads out": [
    [...saved.parts, { name: "x", type: "2", linkName: "../../etc/passwd" }],
    "MANIFEST_INVALID",
    /leads out/,
  ],
  "a link to an absolute path": [
    [...saved.parts, { name: "x", type: "2", linkName: "/etc/passwd" }],
    "MANIFEST_INVALID",
    /leads out/,
  ],
  "a layer that is a link to itself": [
    replaced(/^0+\/layer\.tar$/, ({ name }) => ({ name, type: "2", linkName: "layer.tar" })),
    "MANIFEST_INVALID",
    /leads to no file/,
  ],
  "a layer that is a link to nothing": [
    replaced(/^0+\/layer\.tar$/, ({ name }) => ({ name, type: "2", linkName: "nothing" })),
    "MANIFEST_BLOB_UNKNOWN",
  ],
  "a file below a link": [
    [...saved.parts, { name: "x", type: "2", linkName: "y" }, { name: "x/a", bytes: "x" }],
    "MANIFEST_INVALID",
    /below/,
  ],
  "a hard link": [
    [...saved.parts, { name: "x", type: "1", linkName: "manifest.json" }],
    "MANIFEST_INVALID",
    /hard link/,
  ],
  "a device": [[...saved.parts, { name: "x", type: "3" }], "MANIFEST_INVALID", /device/],
  "a sparse file": [[...saved.parts, { name: "x", type: "S" }], "MANIFEST_INVALID", /sparse/],
  "a huge size": [
    [...saved.parts, pax({ size: String(2 ** 50) }), { name: "x" }],
    "MANIFEST_INVALID",
    /breaks off/,
  ],
  "a pax bomb": [[...saved.parts, { name: "p", type: "x", size: 2 ** 30 }], "SIZE_INVALID"],
  "a file twice": [[...saved.parts, { name: "x" }, { name: "x" }], "MANIFEST_INVALID", /twice/],
  "a second manifest.json": [
    [...saved.parts, { name: "./manifest.json", bytes: "[]" }],
    "MANIFEST_INVALID",
    /twice/,
  ],
  "a manifest.json that is no JSON": [
    replaced(/^manifest\.json$/, ({ name }) => ({ name, bytes: "[" })),
    "MANIFEST_INVALID",
  ],
  "a manifest.json with a key twice": [
    replaced(/^manifest\.json$/, ({ name, bytes }) => ({
      name,
      bytes: String(bytes).replace("{", '{"config":"x",'),
    })),
    "MANIFEST_INVALID",
    /twice/,
  ],
  "a manifest.json of no image": [
    replaced(/^manifest\.json$/, ({ name }) => ({ name, bytes: "[]" })),
    "MANIFEST_INVALID",
  ],
  "a manifest.json that is huge": [
    replaced(/^manifest\.json$/, ({ name }) => ({ name, bytes: `["${"x".repeat(5_000_000)}"]` })),
    "SIZE_INVALID",
  ],
  "a config that is not there": [without(/^[0-9a-f]{64}\.json$/), "MANIFEST_BLOB_UNKNOWN"],
  "a config of another digest": [
    replaced(/^[0-9a-f]{64}\.json$/, ({ name }) => ({ name, bytes: "{}" })),
    "DIGEST_INVALID",
  ],
  "a config that is a layer": [
    manifestJson((entry) => ({ ...entry, Config: entry.Layers[0] })),
    "SIZE_INVALID",
  ],
  "a layer that is not there": [without(/^0+\/layer\.tar$/), "MANIFEST_BLOB_UNKNOWN"],
  "a layer of another digest": [
    replaced(/^0+\/layer\.tar$/, ({ name }) => ({ name, bytes: seededBytes(20_000, 7) })),
    "DIGEST_INVALID",
  ],
  "layers in another order": [
    manifestJson((entry) => ({ ...entry, Layers: entry.Layers.toReversed() })),
    "DIGEST_INVALID",
  ],
  "a layer too few": [
    manifestJson((entry) => ({ ...entry, Layers: entry.Layers.slice(1) })),
    "MANIFEST_INVALID",
    /layers/,
  ],
  "a layer that is named from outside": [
    manifestJson((entry) => ({ ...entry, Layers: ["/etc/passwd", "../x"] })),
    "MANIFEST_BLOB_UNKNOWN",
  ],
  "a layout without its mark": [without(/^oci-layout$/, layout), "MANIFEST_INVALID", /oci-layout/],
  "a layout of another version": [
    replaced(/^oci-layout$/, ({ name }) => ({ name, bytes: '{"imageLayoutVersion":"2.0.0"}' }), layout),
    "MANIFEST_INVALID",
    /version/,
  ],
  "a layout without its manifest": [
    without(new RegExp(oneImage.manifest.digest.slice(7)), layout),
    "MANIFEST_BLOB_UNKNOWN",
  ],
  "a layout without a layer": [
    without(new RegExp(LAYERS[1]?.digest.slice(7) ?? ""), layout),
    "MANIFEST_BLOB_UNKNOWN",
  ],
  "a blob of another digest": [
    replaced(
      new RegExp(LAYERS[1]?.digest.slice(7) ?? ""),
      ({ name }) => ({ name, bytes: seededBytes(20_000, 8) }),
      layout,
    ),
    "DIGEST_INVALID",
  ],
  "a manifest of another digest": [
    replaced(new RegExp(oneImage.manifest.digest.slice(7)), ({ name }) => ({ name, bytes: "{}" }), layout),
    "DIGEST_INVALID",
  ],
  "an index that says another size": [
    replaced(
      /^index\.json$/,
      ({ name, bytes }) => ({ name, bytes: String(bytes).replace(/"size":\d+/, '"size":1') }),
      layout,
    ),
    "MANIFEST_INVALID",
    /wanted 1 as/,
  ],
};

describe("of a hostile archive nothing is left", () => {
  for (const [what, [parts, code, message]] of Object.entries(HOSTILE)) {
    test(what, async () => {
      for (const isGzipped of [false, true]) {
        await using app = new TestApp();
        const tar = tarOfParts(parts);
        const response = await putArchive(
          app,
          "team/app/manifests/1.0",
          isGzipped ? new Uint8Array(gzipSync(tar)) : tar,
        );
        const text = await response.clone().text();
        expect(response.status).toBeLessThan(500);
        expect(await errorCode(response)).toBe(code);
        if (message !== undefined) expect(text.replaceAll('\\"', '"')).toMatch(message);
        await expectNothing(app);
      }
    });
  }

  test("an image of a layer that says another size in its manifest", async () => {
    await using app = new TestApp();
    const manifest = blobOf(
      Buffer.from(oneImage.manifest.bytes).toString().replace('"size":20000', '"size":20001'),
    );
    const parts = layoutParts(
      [{ blob: manifest, mediaType: oneImage.mediaType }],
      [manifest, oneImage.config, ...LAYERS],
    );
    expect(await errorCode(await putArchive(app, "team/app/manifests/1.0", tarOfParts(parts)))).toBe(
      "MANIFEST_INVALID",
    );
    await expectNothing(app);
  });

  test("images that all need the same large manifests: each of these is read once", async () => {
    await using app = new TestApp();
    const absent = {
      mediaType: "application/vnd.oci.empty.v1+json",
      digest: digestOf(Buffer.from("x")),
      size: 1,
    };
    const large = [1, 2, 3, 4].map((seed) =>
      blobOf(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: oneImage.mediaType,
          config: absent,
          layers: [],
          pad: `${seed}${" ".repeat(4_000_000)}`,
        }),
      ),
    );
    const indexes = Array.from({ length: 200 }, (_, at) =>
      blobOf(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: INDEX,
          annotations: { at: String(at) },
          manifests: large.map(({ digest, bytes }) => ({
            mediaType: oneImage.mediaType,
            digest,
            size: bytes.byteLength,
          })),
        }),
      ),
    );
    const named = indexes.map((blob) => ({ blob, mediaType: INDEX, name: "1.0" }));
    const parts = layoutParts(named, [...indexes, ...large]);
    const response = await putArchive(app, "team/app/manifests/1.0", tarOfParts(parts));
    expect(await errorCode(response)).toBe("MANIFEST_UNKNOWN");
    await expectNothing(app);
  });

  test("images that together name more than somebody waits for", async () => {
    await using app = new TestApp();
    const layer = {
      mediaType: "application/vnd.oci.image.layer.v1.tar",
      digest: digestOf(Buffer.from("x")),
      size: 1,
    };
    const wide = blobOf(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: oneImage.mediaType,
        config: layer,
        layers: Array.from({ length: 4_000 }, () => layer),
      }),
    );
    const indexes = Array.from({ length: 200 }, (_, at) =>
      blobOf(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: INDEX,
          annotations: { at: String(at) },
          manifests: [{ mediaType: oneImage.mediaType, digest: wide.digest, size: wide.bytes.byteLength }],
        }),
      ),
    );
    const named = indexes.map((blob) => ({ blob, mediaType: INDEX }));
    const response = await putArchive(
      app,
      "team/app/manifests/1.0",
      tarOfParts(layoutParts(named, [...indexes, wide])),
    );
    expect(await errorCode(response)).toBe("SIZE_INVALID");
    await expectNothing(app);
  });

  test("a manifest.json that names one large config again and again", async () => {
    await using app = new TestApp();
    const config = JSON.stringify({ rootfs: { diff_ids: [] }, pad: " ".repeat(4_000_000) });
    const images = Array.from({ length: 2_000 }, () => ({ Config: "config.json" }));
    const parts = [
      { name: "config.json", bytes: config },
      { name: "other.json", bytes: JSON.stringify({ rootfs: { diff_ids: ["sha256:x"] } }) },
      { name: "manifest.json", bytes: JSON.stringify([...images, { Config: "other.json" }]) },
    ];
    const response = await putArchive(app, "team/app/manifests/1.0", tarOfParts(parts));
    expect(await errorCode(response)).toBe("MANIFEST_INVALID");
    await expectNothing(app);
  });

  test("files that lie in more folders than are remembered", async () => {
    await using app = new TestApp();
    const parts = Array.from({ length: 1_000 }, (_, at) => [
      pax({ path: `${at}/${"a/".repeat(120)}x` }),
      { name: "x" },
    ]).flat();
    const response = await putArchive(app, "team/app/manifests/1.0", tarOfParts(parts));
    expect(await errorCode(response)).toBe("SIZE_INVALID");
    await expectNothing(app);
  });

  test("many at once that keep much in memory and do not end", async () => {
    await using app = new TestApp();
    const kept = Array.from({ length: 7 }, (_, at) => ({
      name: `f${at}`,
      bytes: `{${" ".repeat(4_000_000)}`,
    }));
    const start = new Uint8Array(
      gzipSync(tarOfParts(kept, { end: 0 }), { finishFlush: constants.Z_SYNC_FLUSH }),
    );
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const body = () =>
      new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(start),
        pull: async (controller) => {
          await over;
          controller.close();
        },
      });
    const put = async (at: number) =>
      await errorCode(
        await app.request("PUT", `/v2/team/app/manifests/${at}`, {
          headers: { "Content-Type": "application/x-tar" },
          body: body(),
        }),
      );
    const results = [1, 2, 3, 4, 5].map(put);
    // Not all have room: somebody is refused, while the others wait; what it still sends is read before it is told.
    await Promise.race([...results, Bun.sleep(1_000)]);
    end();
    const codes = await Promise.all(results);
    expect(new Set(codes)).toEqual(new Set(["TOOMANYREQUESTS", "MANIFEST_INVALID"]));
    const after = await putArchive(app, "team/app/manifests/1.0", tarOfParts(saved.parts));
    expect(after.status).toBe(201);
  });

  test("a gzip bomb", async () => {
    await using app = new TestApp();
    const bomb = new Uint8Array(
      gzipSync(tarOfParts([{ name: "x", bytes: new Uint8Array(300 * 1024 ** 2) }])),
    );
    const response = await putArchive(app, "team/app/manifests/1.0", bomb);
    expect(response.status).toBe(413);
    expect(await errorCode(response)).toBe("SIZE_INVALID");
    await expectNothing(app);
  });

  test("what is packed otherwise, what is no archive, and gzip that is broken", async () => {
    await using app = new TestApp();
    const gzipped = new Uint8Array(gzipSync(tarOfParts(saved.parts)));
    const broken = gzipped.slice();
    broken.fill(0xff, gzipped.byteLength >> 1, (gzipped.byteLength >> 1) + 8);
    const bodies = [
      Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3),
      seededBytes(5_000, 1),
      new Uint8Array(),
      gzipped.slice(0, -5),
      broken,
      new Uint8Array([...gzipped, 1, 2, 3]),
    ];
    for (const body of bodies) {
      const response = await putArchive(app, "team/app/manifests/1.0", body);
      expect(response.status).toBe(400);
      await expectNothing(app);
    }
  });

  test("more blobs than are read", async () => {
    await using app = new TestApp();
    const layer = seededBytes(4_097, 1);
    const parts = Array.from({ length: 2_049 }, (_, at) => ({ name: `${at}.tar`, bytes: layer }));
    expect(await errorCode(await putArchive(app, "team/app/manifests/1.0", tarOfParts(parts)))).toBe(
      "SIZE_INVALID",
    );
    await expectNothing(app);
  }, 60_000);

  for (const [form, parts] of Object.entries({ "docker-archive": saved.parts, "OCI archive": layout })) {
    test(`a ${form} that breaks off at any block`, async () => {
      await using app = new TestApp();
      const tar = tarOfParts(parts);
      for (let size = 0; size < tar.byteLength; size += 512) {
        const response = await putArchive(app, "team/app/manifests/1.0", tar.slice(0, size));
        expect(response.status).toBe(400);
        await expectNothing(app);
      }
    }, 60_000);

    test(`a ${form} with any bytes changed is refused, or means what it meant`, async () => {
      const tar = tarOfParts(parts);
      const changes = fc.array(fc.tuple(fc.nat(tar.byteLength - 1), fc.nat(255)), {
        minLength: 1,
        maxLength: 3,
      });
      await fc.assert(
        fc.asyncProperty(changes, async (changed) => {
          await using app = new TestApp();
          const bytes = tar.slice();
          for (const [at, byte] of changed) bytes[at] = byte;
          const response = await putArchive(app, "team/app/manifests/1.0", bytes);
          if (response.status === 201) {
            const { json } = await manifestOf(app, "team/app/manifests/1.0");
            for (const { digest } of [json.config, ...json.layers]) {
              const blob = await app.request("GET", `/v2/team/app/blobs/${digest}`);
              expect<string>(digestOf(new Uint8Array(await blob.arrayBuffer()))).toBe(digest);
            }
            expect(json.layers.map(({ digest }: { digest: string }) => digest)).toEqual(
              LAYERS.map(({ digest }) => digest),
            );
          } else {
            expect(response.status).toBeLessThan(500);
            await expectNothing(app);
          }
        }),
        { numRuns: 150 },
      );
    }, 60_000);
  }
});
