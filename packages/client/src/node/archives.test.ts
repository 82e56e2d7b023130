import { afterAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Content } from "../../../../tests/compat/images.ts";
import {
  artifactOf,
  differencesInLayout,
  imageIndex,
  layeredImage,
  writeLayout,
} from "../../../../tests/compat/images.ts";
import { blobOf, seededBytes } from "../../../../tests/support/content.ts";
import { savedImage, tarOfParts } from "../../../../tests/support/tar.ts";
import { ClientError } from "../client-error.ts";
import { copy } from "../copy.ts";
import { requireImageReference } from "../image-reference.ts";
import { namesIn, openSource, openTarget } from "./open-transport.ts";
import { parseTransport, type Transport } from "./transport.ts";

const folder = await mkdtemp(join(tmpdir(), "stowage-archives-"));
afterAll(async () => await rm(folder, { recursive: true, force: true }));
let count = 0;
const freshPath = () => join(folder, String(count++));

function transport(text: string): Transport {
  const parsed = parseTransport(text);
  if (parsed === null) throw new Error(`${text} is no transport`);
  return parsed;
}

async function transfer(from: string, to: string, tags: readonly string[], referrers = false) {
  await using source = await openSource(transport(from));
  await using target = await openTarget(transport(to));
  const result = await copy(source, transport(from).reference, target, { tags, referrers });
  await target.close();
  return result;
}

async function layoutOf(content: Content, tag = "1.0"): Promise<string> {
  const path = freshPath();
  await writeLayout(path, content, tag);
  return path;
}

const image = layeredImage({ architecture: "amd64", layerCount: 3, seed: 1 });
const arm = layeredImage({ architecture: "arm64", layerCount: 2, seed: 2 });
const index = imageIndex([image, arm]);

describe("layouts and archives", () => {
  for (const [what, content] of Object.entries({ image, index })) {
    for (const kind of ["oci", "oci-archive", "docker-archive"]) {
      test(`an ${what} survives oci -> ${kind} -> oci`, async () => {
        const [from, middle, out] = [await layoutOf(content), freshPath(), freshPath()];
        const first = await transfer(`oci:${from}:1.0`, `${kind}:${middle}`, ["local/app:2.0"]);
        expect<string>(first.digest).toBe(content.descriptor.digest);
        await transfer(`${kind}:${middle}`, `oci:${out}`, ["3.0"]);
        expect(await differencesInLayout(out, content)).toEqual([]);
        await transfer(`${kind}:${middle}:local/app:2.0`, `oci:${out}`, ["4.0"]);
        await using layout = await openSource(transport(`oci:${out}`));
        expect(await Array.fromAsync(layout.tags())).toEqual(["3.0", "4.0"]);
      });
    }
  }

  test("the same image gives the same archive", async () => {
    const from = await layoutOf(image);
    const files = [freshPath(), freshPath()];
    for (const file of files) {
      await using source = await openSource(transport(`oci:${from}`));
      await using target = await openTarget(transport(`docker-archive:${file}`));
      await copy(source, "1.0", target, { tags: ["app:1.0"], jobs: 1 });
      await target.close();
    }
    const [one, two] = await Promise.all(files.map(async (file) => await Bun.file(file).bytes()));
    expect(one).toEqual(two ?? new Uint8Array());
  });

  test("referrers come along, and are found again", async () => {
    const signature = artifactOf(image, "application/vnd.test.signature", "signed");
    const from = await layoutOf(image);
    await writeLayout(from, { ...signature, blobs: [...signature.blobs] }, "signature");
    await transfer(`oci:${await layoutOf(image)}:1.0`, `oci:${from}`, ["1.0"]);
    for (const kind of ["oci", "oci-archive"]) {
      const out = freshPath();
      await transfer(`oci:${from}:1.0`, `${kind}:${out}`, ["1.0"], true);
      await using source = await openSource(transport(`${kind}:${out}`));
      const found = await source.getManifest("1.0");
      const referrers = await Array.fromAsync(source.referrers(found?.digest as never));
      expect(referrers).toMatchObject([
        { digest: signature.descriptor.digest, artifactType: "application/vnd.test.signature" },
      ]);
    }
  });

  test("a layout keeps what it has, and a name moves", async () => {
    const out = freshPath();
    await transfer(`oci:${await layoutOf(image)}`, `oci:${out}`, ["a", "b"]);
    await transfer(`oci:${await layoutOf(arm)}`, `oci:${out}`, ["b"]);
    await using layout = await openSource(transport(`oci:${out}`));
    expect((await layout.getManifest("a"))?.digest as string).toBe(image.descriptor.digest);
    expect((await layout.getManifest("b"))?.digest as string).toBe(arm.descriptor.digest);
    expect(await layout.getManifest("c")).toBeNull();
    const unclear = await layout.getManifest(null).catch((error: unknown) => error);
    expect(unclear).toMatchObject({ kind: "invalid" });
  });

  test("a docker-archive of docker save, gzipped as well, is read at any place", async () => {
    const saved = savedImage([blobOf(seededBytes(50_000, 1))], ["app:1.0"]);
    const tar = tarOfParts(saved.parts);
    for (const bytes of [tar, gzipSync(tar)]) {
      const file = freshPath();
      await Bun.write(file, bytes);
      await using source = await openSource(transport(`docker-archive:${file}`));
      for (const reference of [null, "app:1.0", "docker.io/library/app:1.0", "1.0"]) {
        expect(await source.getManifest(reference)).not.toBeNull();
      }
      const [layer = blobOf("")] = saved.layers;
      const blob = { digest: layer.digest, size: layer.bytes.byteLength };
      const part = await source.openBlob(blob, { offset: 49_000 });
      expect(await new Response(part).bytes()).toEqual(layer.bytes.slice(49_000));
    }
  });

  test("standard output gets the archive that a file gets", async () => {
    const from = await layoutOf(image);
    const pieces: Uint8Array[] = [];
    await using source = await openSource(transport(`oci:${from}`));
    await using target = await openTarget(transport("-"), {
      write: async (bytes) => void pieces.push(bytes.slice()),
    });
    await copy(source, null, target, { tags: ["app:1.0"] });
    await target.close();
    const file = freshPath();
    await Bun.write(file, Buffer.concat(pieces));
    await using back = await openSource(transport(`oci-archive:${file}`));
    expect((await back.getManifest("app:1.0"))?.digest as string).toBe(image.descriptor.digest);
  });
});

describe("what goes wrong", () => {
  const failing = async (work: Promise<unknown>) =>
    await work.then(
      () => null,
      (error: unknown) => error,
    );

  test("a blob of a layout that is not what its name says", async () => {
    const from = await layoutOf(image);
    const hex = image.layers[1]?.digest.slice(7) ?? "";
    const path = join(from, "blobs", "sha256", hex);
    const bytes = await Bun.file(path).bytes();
    for (const change of [bytes.fill(1, 100, 101), bytes.slice(1), new Uint8Array([...bytes, 1])]) {
      await Bun.write(path, change);
      for (const kind of ["oci", "oci-archive"]) {
        const out = freshPath();
        expect(await failing(transfer(`oci:${from}`, `${kind}:${out}`, ["1"]))).toMatchObject({
          kind: "mismatch",
        });
        const left = kind === "oci" ? await readdir(join(out, "blobs", "sha256")) : [];
        expect(left.filter((name) => name.includes(hex) || name.includes("partial"))).toEqual([]);
        if (kind !== "oci") expect(await Bun.file(out).exists()).toBe(false);
      }
    }
    expect((await readdir(folder)).filter((name) => name.includes("partial"))).toEqual([]);
  });

  test("what is not there, and what is no layout or archive", async () => {
    const empty = freshPath();
    await Bun.write(join(empty, "file"), "x");
    const opening = async (text: string) => await failing(openSource(transport(text)));
    expect(await opening("oci:/nowhere/at/all")).toMatchObject({ kind: "not-found" });
    expect(await opening("oci-archive:/nowhere/at/all")).toMatchObject({ kind: "not-found" });
    expect(await opening(`oci:${empty}`)).toMatchObject({ kind: "not-found" });
    expect(await opening(`oci-archive:${join(empty, "file")}`)).toMatchObject({ kind: "invalid" });
    expect(await opening("docker-archive:-")).toMatchObject({ kind: "invalid" });
    expect(await failing(openTarget(transport(`oci:${empty}`)))).toBeInstanceOf(ClientError);
    expect(await failing(openTarget(transport("oci-archive:/nowhere/at/all")))).toMatchObject({
      kind: "invalid",
    });
  });

  test("an artifact is nothing that docker could load", async () => {
    const from = await layoutOf(artifactOf(image, "application/vnd.test", "text"));
    const out = freshPath();
    expect(await failing(transfer(`oci:${from}`, `docker-archive:${out}`, ["1"]))).toMatchObject({
      kind: "invalid",
    });
    expect(await Bun.file(out).exists()).toBe(false);
  });
});

test("namesIn gives what people expect: the tag in a layout, the whole name in an archive", () => {
  const reference = requireImageReference("localhost:5000/team/app:1.0");
  expect(namesIn(transport("oci:dir"), reference)).toEqual(["1.0"]);
  expect(namesIn(transport("docker-archive:f"), reference)).toEqual(["localhost:5000/team/app:1.0"]);
  expect(namesIn(transport("oci-archive:f:mine"), reference)).toEqual(["mine"]);
  expect(namesIn(transport("oci:dir"), { ...reference, tag: null })).toEqual([]);
});
