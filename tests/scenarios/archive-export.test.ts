import { describe, expect, test } from "bun:test";
import { hexOf } from "@stowage/oci/digest";
import { expectNothing, putArchive, storedKeys } from "../support/archives.ts";
import { blobOf, digestOf, imageOf, seededBytes, type TestBlob, type TestImage } from "../support/content.ts";
import { errorCode, TestApp, type RequestParts } from "../support/test-app.ts";

const TAR = { Accept: "application/x-tar" };
const OCI_INDEX = "application/vnd.oci.image.index.v1+json";

const IMAGE = imageOf([1, 2].map((seed) => blobOf(seededBytes(20_000, seed))));

async function get(app: TestApp, path: string, parts: RequestParts = {}) {
  return await app.request("GET", `/v2/${path}`, { headers: { ...TAR, Host: "registry.test" }, ...parts });
}

/** Files of a tar file, read without the code under test. */
function filesOf(tar: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (let at = 0; tar[at] !== 0;) {
    const text = (start: number, length: number) =>
      Buffer.from(tar.subarray(at + start, at + start + length))
        .toString("latin1")
        .replace(/\0.*$/s, "");
    const size = Number.parseInt(text(124, 12), 8);
    files.set(text(0, 100), tar.slice(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

async function filesIn(response: Response): Promise<ReadonlyMap<string, Uint8Array>> {
  expect(response.status).toBe(200);
  expect(response.headers.get("Content-Type")).toBe("application/x-tar");
  const bytes = new Uint8Array(await response.arrayBuffer());
  expect(response.headers.get("Content-Length")).toBe(String(bytes.byteLength));
  return filesOf(bytes);
}

const jsonIn = (files: ReadonlyMap<string, Uint8Array>, name: string) =>
  JSON.parse(Buffer.from(files.get(name) ?? []).toString());
const pathOf = ({ digest }: Pick<TestBlob, "digest">) => `blobs/${digest.replace(":", "/")}`;

function indexOf(images: readonly TestImage[], platforms: readonly (string | null)[]): TestBlob {
  const manifests = images.map(({ manifest, mediaType }, at) => {
    const [os, architecture] = platforms[at]?.split("/") ?? [];
    const descriptor = { mediaType, digest: manifest.digest, size: manifest.bytes.byteLength };
    return os === undefined ? descriptor : { ...descriptor, platform: { os, architecture } };
  });
  return blobOf(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}

/** Pushes an index of these images; `skip` leaves the content of one out. */
async function pushIndex(app: TestApp, images: readonly TestImage[], platforms: readonly (string | null)[]) {
  for (const image of images) await app.pushImage("team/app", image.manifest.digest, image);
  const manifest = indexOf(images, platforms);
  const response = await app.pushManifest("team/app", "1.0", { manifest, mediaType: OCI_INDEX });
  expect(response.status).toBe(201);
  return manifest;
}

describe("a manifest that is accepted as a tar file", () => {
  test("is the whole image, an OCI layout and a docker-archive at once, each blob once", async () => {
    await using app = new TestApp();
    await app.pushImage("team/app", "1.0", IMAGE);
    const response = await get(app, "team/app/manifests/1.0");
    expect(response.headers.get("Docker-Content-Digest")).toBe(IMAGE.manifest.digest);
    expect(response.headers.get("Vary")).toContain("Accept");
    expect(response.headers.get("Content-Disposition")).toBe('attachment; filename="app-1.0.tar"');
    const files = await filesIn(response);
    const blobs = [IMAGE.manifest, IMAGE.config, ...IMAGE.layers];
    expect([...files.keys()].toSorted()).toEqual(
      ["index.json", "manifest.json", "oci-layout", ...blobs.map(pathOf)].toSorted(),
    );
    for (const blob of blobs) expect(digestOf(files.get(pathOf(blob)) ?? "")).toBe(blob.digest);
    expect(jsonIn(files, "manifest.json")).toEqual([
      {
        Config: pathOf(IMAGE.config),
        RepoTags: ["registry.test/team/app:1.0"],
        Layers: IMAGE.layers.map(pathOf),
      },
    ]);
    expect(jsonIn(files, "index.json").manifests).toMatchObject([
      {
        digest: IMAGE.manifest.digest,
        annotations: { "org.opencontainers.image.ref.name": "registry.test/team/app:1.0" },
      },
    ]);
  });

  test("has the same bytes each time, and 304 for who has them", async () => {
    await using app = new TestApp();
    await app.pushImage("team/app", "1.0", IMAGE);
    const [one, two] = [await get(app, "team/app/manifests/1.0"), await get(app, "team/app/manifests/1.0")];
    expect(new Uint8Array(await one.arrayBuffer())).toEqual(new Uint8Array(await two.arrayBuffer()));
    const etag = one.headers.get("ETag") ?? "";
    expect(etag).not.toContain(IMAGE.manifest.digest);
    const again = await get(app, "team/app/manifests/1.0", {
      headers: { ...TAR, Host: "registry.test", "If-None-Match": etag },
    });
    expect(again.status).toBe(304);
  });

  test("HEAD has the headers of GET, with its length", async () => {
    await using app = new TestApp();
    await app.pushImage("team/app", "1.0", IMAGE);
    const got = await get(app, "team/app/manifests/1.0");
    const head = await app.request("HEAD", "/v2/team/app/manifests/1.0", {
      headers: { ...TAR, Host: "registry.test" },
    });
    const kept = (response: Response) =>
      [...response.headers].filter(([name]) => name !== "x-request-id").toSorted();
    expect(kept(head)).toEqual(kept(got));
    expect(await head.text()).toBe("");
  });

  test("by its digest it has no name", async () => {
    await using app = new TestApp();
    await app.pushImage("team/app", "1.0", IMAGE);
    const files = await filesIn(await get(app, `team/app/manifests/${IMAGE.manifest.digest}`));
    expect(jsonIn(files, "manifest.json")[0].RepoTags).toEqual([]);
    expect(jsonIn(files, "index.json").manifests[0].annotations).toBeUndefined();
  });

  test("comes back as what it was when it is imported", async () => {
    await using app = new TestApp();
    await app.pushImage("team/app", "1.0", IMAGE);
    const bytes = new Uint8Array(await (await get(app, "team/app/manifests/1.0")).arrayBuffer());
    await using other = new TestApp();
    const response = await putArchive(other, "team/app/manifests/1.0", bytes);
    expect(response.headers.get("Docker-Content-Digest")).toBe(IMAGE.manifest.digest);
  });

  const ACCEPTED: readonly (readonly [string, isArchive: boolean])[] = [
    ["application/x-tar", true],
    ["application/tar", true],
    ["Application/X-Tar; q=0.5", true],
    ["text/plain, application/x-tar", true],
    ["application/x-tar;q=0", false],
    ["application/x-tar; q=0.00", false],
    ["*/*", false],
    ["application/*", false],
    ["application/x-tar-not", false],
    ["application/vnd.oci.image.layer.v1.tar", false],
    [OCI_INDEX, false],
  ];
  for (const [accept, isArchive] of ACCEPTED) {
    test(`Accept: ${accept} is ${isArchive ? "" : "not "}answered with one`, async () => {
      await using app = new TestApp();
      await app.pushImage("team/app", "1.0", IMAGE);
      const response = await get(app, "team/app/manifests/1.0", { headers: { Accept: accept } });
      expect(response.headers.get("Content-Type")).toBe(isArchive ? "application/x-tar" : IMAGE.mediaType);
      expect(response.headers.get("Vary")).toContain("Accept");
    });
  }

  test("of nothing is 404, of no tag as well, and who may not pull gets what they get for a manifest", async () => {
    await using app = new TestApp({ authorize: ({ action }) => action !== "pull" });
    expect((await get(app, "team/app/manifests/1.0")).status).toBe(403);
    await using open = new TestApp();
    for (const reference of ["1.0", ".x", `sha256:${"0".repeat(64)}`]) {
      expect(await errorCode(await get(open, `team/app/manifests/${reference}`))).toBe("MANIFEST_UNKNOWN");
    }
    await expectNothing(open);
  });
});

describe("an index that is accepted as a tar file", () => {
  const images = [3, 4, 5].map((seed) => imageOf([blobOf(seededBytes(10_000, seed))]));
  const [amd64 = IMAGE, arm64 = IMAGE] = images;

  test("has all its images; docker gets the one for linux/amd64", async () => {
    await using app = new TestApp();
    const index = await pushIndex(app, images, ["linux/arm64", "linux/amd64", "unknown/unknown"]);
    const response = await get(app, "team/app/manifests/1.0");
    expect(response.headers.get("Docker-Content-Digest")).toBe(index.digest);
    const files = await filesIn(response);
    for (const { manifest, layers } of images) {
      for (const blob of [manifest, ...layers]) expect(files.has(pathOf(blob))).toBe(true);
    }
    expect(jsonIn(files, "manifest.json")[0].Layers).toEqual(arm64.layers.map(pathOf));
  });

  test("?platform= takes one image", async () => {
    await using app = new TestApp();
    await pushIndex(app, images, ["linux/amd64", "linux/arm64", "linux/s390x"]);
    const response = await get(app, "team/app/manifests/1.0?platform=linux/arm64/v8");
    expect(response.headers.get("Docker-Content-Digest")).toBe(arm64.manifest.digest);
    const files = await filesIn(response);
    expect(files.size).toBe(6);
    expect(jsonIn(files, "manifest.json")[0].Config).toBe(pathOf(arm64.config));
    const absent = await get(app, "team/app/manifests/1.0?platform=linux/riscv64");
    expect(absent.status).toBe(404);
    expect(await absent.text()).toContain("linux/amd64, linux/arm64, linux/s390x");
    expect((await get(app, "team/app/manifests/1.0?platform=linux")).status).toBe(400);
  });

  test("a sparse one has what is there", async () => {
    await using app = new TestApp({ allowSparse: true });
    await app.pushImage("team/app", "x", arm64);
    const manifest = indexOf([amd64, arm64], ["linux/amd64", "linux/arm64"]);
    await app.pushManifest("team/app", "1.0", { manifest, mediaType: OCI_INDEX });
    const files = await filesIn(await get(app, "team/app/manifests/1.0"));
    expect(files.has(pathOf(amd64.manifest))).toBe(false);
    expect(jsonIn(files, "manifest.json")[0].Config).toBe(pathOf(arm64.config));
  });

  test("one of blobs, as BuildKit's caches are, has them and nothing for docker", async () => {
    await using app = new TestApp();
    const layer = blobOf(seededBytes(5_000, 6));
    await app.pushBlob("team/app", layer);
    const entry = { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: layer.digest, size: 5_000 };
    const manifest = blobOf(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] }));
    await app.pushManifest("team/app", "1.0", { manifest, mediaType: OCI_INDEX });
    const files = await filesIn(await get(app, "team/app/manifests/1.0"));
    expect([...files.keys()]).toEqual(["oci-layout", "index.json", pathOf(manifest), pathOf(layer)]);
  });
});

test("a client that stops reading ends the archive, which is no failure", async () => {
  await using app = new TestApp();
  await app.pushImage("team/app", "1.0", IMAGE);
  const reader = (await get(app, "team/app/manifests/1.0")).body?.getReader();
  await reader?.read();
  await reader?.cancel();
  expect(await reader?.read()).toEqual({ done: true, value: undefined });
  expect(app.log).not.toContain("failed");
});

test("an index whose manifests are more than an archive may have is refused before they are all read", async () => {
  await using app = new TestApp();
  const { config, mediaType } = IMAGE;
  await app.pushImage("team/app", "first", IMAGE);
  const large: TestImage[] = [];
  for (let at = 0; at < 9; at++) {
    const text = {
      ...JSON.parse(Buffer.from(IMAGE.manifest.bytes).toString()),
      pad: `${at}${" ".repeat(4_000_000)}`,
    };
    const manifest = blobOf(JSON.stringify(text));
    expect((await app.pushManifest("team/app", manifest.digest, { manifest, mediaType })).status).toBe(201);
    large.push({ ...IMAGE, config, manifest });
  }
  for (const [count, status] of [
    [8, 200],
    [9, 413],
  ] as const) {
    const manifest = indexOf(large.slice(0, count), []);
    expect((await app.pushManifest("team/app", "1.0", { manifest, mediaType: OCI_INDEX })).status).toBe(201);
    const response = await get(app, "team/app/manifests/1.0");
    expect(response.status).toBe(status);
    if (status === 413) expect(await errorCode(response)).toBe("SIZE_INVALID");
    else
      expect(
        filesOf(new Uint8Array(await response.arrayBuffer())).get(pathOf(large[7]?.manifest ?? manifest))
          ?.byteLength,
      ).toBe(large[7]?.manifest.bytes.byteLength);
  }
});

test("an image of which a blob is not in the store is a failure before the first byte", async () => {
  await using app = new TestApp();
  await app.pushImage("team/app", "1.0", IMAGE);
  const keys = await storedKeys(app);
  for (const key of keys.filter((each) =>
    each.includes(hexOf(IMAGE.layers[1]?.digest ?? IMAGE.config.digest)),
  )) {
    await app.store.delete(key);
  }
  expect((await get(app, "team/app/manifests/1.0")).status).toBe(500);
});
