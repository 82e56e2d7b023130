import {
  copy,
  descriptorOf,
  manifestFrom,
  type ProgressEvent,
  partsOf,
  RegistryClient,
  readBlob,
  readConfig,
  requirePlatform,
  resolveImage,
  sync,
  tagImage,
  untagImage,
  defaultFetch,
  traced,
} from "@stowage/client";
import { type Case, collect, equal, failureOf, freshName, isTrue } from "./cases.ts";
import { blobOf, noise, opener, pushImage, putBlob } from "./images.ts";

const INDEX = "application/vnd.oci.image.index.v1+json";

/** Pushes one image for each architecture and an index of them. */
async function pushIndex(
  client: RegistryClient,
  { name, tag }: { readonly name: string; readonly tag: string },
) {
  const repository = client.repository(name);
  const images = [];
  for (const [at, architecture] of ["amd64", "arm64"].entries()) {
    images.push({
      architecture,
      ...(await pushImage(repository, { tag: null, seed: at + 5, architecture })),
    });
  }
  const manifests = images.map(({ architecture, manifest }) => ({
    ...descriptorOf(manifest),
    platform: { os: "linux", architecture },
  }));
  const index = manifestFrom({ schemaVersion: 2, mediaType: INDEX, manifests }, INDEX);
  await repository.putManifest(index, { tags: [tag] });
  return { repository, index, images };
}

export const CONTENT_CASES: readonly Case[] = [
  {
    name: "an image that was pushed comes back byte for byte",
    async run({ host }) {
      const repository = new RegistryClient().repository(`${host}/${freshName("round")}`);
      const { manifest, layers } = await pushImage(repository, { tag: "1.0" });
      const pulled = await resolveImage(repository, "1.0");
      equal(pulled.manifest.digest, manifest.digest);
      equal((await readConfig(repository, pulled.parts)).architecture, "amd64");
      for (const layer of layers) {
        const bytes = await readBlob(repository, layer, { bytesMax: 1_000_000 });
        equal(blobOf(bytes).digest, layer.digest);
      }
      equal((await repository.getManifest(manifest.digest))?.bytes.byteLength, manifest.bytes.byteLength);
    },
  },
  {
    name: "what is not there is null, and not an error",
    async run({ host }) {
      const repository = new RegistryClient().repository(`${host}/${freshName("absent")}`);
      await pushImage(repository, { tag: "there" });
      const nothing = blobOf("nobody pushed this");
      equal(await repository.getManifest("absent"), null);
      equal(await repository.headManifest("absent"), null);
      equal(await repository.headBlob(nothing.digest), null);
      equal(await repository.openBlob(nothing), null);
      equal(await repository.deleteManifest("absent"), false);
      equal((await failureOf(resolveImage(repository, "absent"))).kind, "not-found");
    },
  },
  {
    name: "blobs of no bytes and of one are pushed and verified like others",
    async run({ host }) {
      const repository = new RegistryClient().repository(`${host}/${freshName("odd")}`);
      for (const blob of [blobOf(""), blobOf("x")]) {
        await putBlob(repository, blob);
        equal(await repository.hasBlob(blob), true);
        equal((await readBlob(repository, blob, { bytesMax: 1 })).byteLength, blob.size);
      }
    },
  },
  {
    name: "blobs of SHA-512 are pushed and verified like others",
    isForPages: false,
    async run({ host }) {
      const repository = new RegistryClient().repository(`${host}/${freshName("sha512")}`);
      const blob = blobOf(noise(200_000, 3), "sha512");
      await putBlob(repository, blob);
      const bytes = await readBlob(repository, blob, { bytesMax: 300_000 });
      equal(blobOf(bytes, "sha512").digest, blob.digest);
    },
  },
  {
    name: "without streams a blob goes in chunks",
    async run({ host }) {
      const sizes: string[] = [];
      const client = new RegistryClient({
        canStream: false,
        fetch: traced(defaultFetch, ({ method, requestHeaders }) => {
          if (method === "PATCH") sizes.push(requestHeaders["content-range"] ?? "");
        }),
      });
      const repository = client.repository(`${host}/${freshName("chunks")}`);
      const blob = blobOf(noise(20_000_000, 9));
      await repository.putBlob(blob, opener(blob, 1_000_003));
      equal(sizes, ["0-8388607", "8388608-16777215", "16777216-19999999"]);
      equal(await repository.hasBlob(blob), true);
    },
  },
  {
    name: "copy mounts within a registry, and then finds that everything is there by HEAD alone",
    async run({ host }) {
      const seen: string[] = [];
      const client = new RegistryClient({
        fetch: traced(defaultFetch, ({ method, url }) =>
          seen.push(`${method} ${url.replace(/^.*\/v2\//, "")}`),
        ),
      });
      const source = client.repository(`${host}/${freshName("source")}`);
      const target = client.repository(`${host}/${freshName("target")}`);
      await pushImage(source, { tag: "1.0" });
      const first = await copy(source, "1.0", target, { tags: ["1.0", "latest"] });
      equal(first.blobs, { copied: 0, mounted: 3, existed: 0, skipped: 0 });
      equal(await collect(target.tags()), ["1.0", "latest"]);
      seen.length = 0;
      const again = await copy(source, "1.0", target, { tags: ["1.0", "latest"] });
      equal([again.manifests, again.bytes], [0, 0]);
      const atTarget = seen.filter((line) => line.includes(target.name));
      isTrue(
        atTarget.length === 2 && atTarget.every((line) => line.startsWith("HEAD ")),
        `only HEADs: ${atTarget.join(", ")}`,
      );
      seen.length = 0;
      await copy(source, "1.0", target, { tags: ["other"] });
      equal(
        seen.filter((line) => line.includes("/blobs/")).length,
        0,
        "requests for blobs of an image that is there",
      );
    },
  },
  {
    name: "copy moves each byte once and tells of it",
    async run({ host }) {
      // Two clients do not know that they talk to one registry: nothing is mounted.
      const source = new RegistryClient().repository(`${host}/${freshName("from")}`);
      const target = new RegistryClient().repository(`${host}/${freshName("to")}`);
      const { config, layers } = await pushImage(source, {
        tag: "1.0",
        layers: [1_000_000, 10, 1_000_000],
        seed: 77,
      });
      const told = new Map<string, number>();
      const onProgress = (event: ProgressEvent) => {
        if (event.kind === "bytes") told.set(event.digest, (told.get(event.digest) ?? 0) + event.bytes);
      };
      const result = await copy(source, "1.0", target, { tags: ["1.0"], onProgress });
      equal(result.blobs.copied, 4);
      const sizes = [config, ...layers].map(({ digest, size }) => [digest, size]).sort();
      equal([...told.entries()].sort(), sizes);
    },
  },
  {
    name: "copy takes all platforms of an index, or those that are wanted",
    async run({ host }) {
      const client = new RegistryClient();
      const { repository, index, images } = await pushIndex(client, {
        name: `${host}/${freshName("multi")}`,
        tag: "1.0",
      });
      const target = client.repository(`${host}/${freshName("multi-copy")}`);
      equal((await copy(repository, "1.0", target, { tags: ["all"] })).digest, index.digest);
      const arm = await copy(repository, "1.0", target, {
        tags: ["arm"],
        platforms: [requirePlatform("linux/arm64")],
      });
      equal(arm.digest, images[1]?.manifest.digest);
      equal(
        (
          await failureOf(
            copy(repository, "1.0", target, { tags: ["no"], platforms: [requirePlatform("linux/s390x")] }),
          )
        ).kind,
        "not-found",
      );
      const both = await copy(repository, "1.0", target, {
        tags: ["both"],
        platforms: [requirePlatform("linux/arm64/v8"), requirePlatform("linux/amd64")],
      });
      equal(both.digest, index.digest, "digest of an index of all its entries");
    },
  },
  {
    name: "an image that stands alone is not taken for another platform",
    async run({ host }) {
      const repository = new RegistryClient().repository(`${host}/${freshName("alone")}`);
      const { manifest } = await pushImage(repository, { tag: "1.0" });
      const arm = requirePlatform("linux/arm64");
      const amd = requirePlatform("linux/amd64");
      equal((await resolveImage(repository, "1.0", { platform: amd })).manifest.digest, manifest.digest);
      const refused = await failureOf(resolveImage(repository, "1.0", { platform: arm }));
      isTrue(
        refused.message.endsWith("has no image for linux/arm64; it is for linux/amd64"),
        refused.message,
      );
      const copied = copy(repository, "1.0", repository, { tags: ["arm"], platforms: [arm] });
      equal((await failureOf(copied)).kind, "not-found");
      await copy(repository, "1.0", repository, { tags: ["amd"], platforms: [arm, amd] });
    },
  },
  {
    name: "copy brings referrers along, and theirs",
    async run({ host }) {
      const client = new RegistryClient();
      const source = client.repository(`${host}/${freshName("signed")}`);
      const target = client.repository(`${host}/${freshName("signed-copy")}`);
      const { manifest } = await pushImage(source, { tag: "1.0" });
      const subject = descriptorOf(manifest);
      const { manifest: signature } = await pushImage(source, {
        tag: null,
        layers: [10],
        seed: 40,
        extra: { artifactType: "application/x.signature", subject },
      });
      await pushImage(source, {
        tag: null,
        layers: [11],
        seed: 41,
        extra: { artifactType: "application/x.note", subject: descriptorOf(signature) },
      });
      await copy(source, "1.0", target, { tags: ["1.0"], referrers: true });
      const found = await collect(
        target.referrers(manifest.digest, { artifactType: "application/x.signature" }),
      );
      equal(
        found.map(({ digest }) => digest),
        [signature.digest],
      );
      equal(
        (await collect(target.referrers(manifest.digest, { artifactType: "application/x.other" }))).length,
        0,
      );
      equal((await collect(target.referrers(signature.digest))).length, 1);
    },
  },
  {
    name: "tags and repositories are listed page by page",
    async run({ host }) {
      const client = new RegistryClient();
      const repository = client.repository(`${host}/${freshName("pages")}`);
      const { manifest } = await pushImage(repository, { tag: "a" });
      const tags = Array.from({ length: 7 }, (_, at) => `t${at}`);
      await repository.putManifest(manifest, { tags });
      equal(await collect(repository.tags({ pageSize: 2 })), ["a", ...tags]);
      equal(await collect(repository.tags({ pageSize: 3, after: "t4" })), ["t5", "t6"]);
      const names = await collect(client.registry(host).repositories({ pageSize: 1 }));
      isTrue(names.includes(repository.name), `${repository.name} is in the catalog`);
    },
  },
  {
    name: "an image gets tags and loses them, and stays",
    async run({ host }) {
      const repository = new RegistryClient().repository(`${host}/${freshName("tags")}`);
      const { manifest } = await pushImage(repository, { tag: "1.0" });
      await tagImage(repository, "1.0", ["1", "stable"]);
      equal((await repository.headManifest("stable"))?.digest, manifest.digest);
      equal(await untagImage(repository, "1.0"), true);
      equal(await collect(repository.tags()), ["1", "stable"]);
      equal(partsOf(manifest).layers.length, 2);
      await tagImage(
        repository,
        "stable",
        Array.from({ length: 120 }, (_, at) => `many-${at}`),
      );
      equal((await collect(repository.tags())).length, 122);
    },
  },
  {
    name: "sync brings the wanted tags, and tells of one that fails without giving the others up",
    async run({ host, fault }) {
      const client = new RegistryClient({ retriesMax: 0 });
      const source = client.repository(`${host}/${freshName("sync")}`);
      const target = client.repository(`${host}/${freshName("mirror")}`);
      for (const [at, tag] of ["1.0", "1.1", "nightly"].entries())
        await pushImage(source, { tag, seed: at + 20 });
      await fault({ kind: "answer", status: 403, method: "PUT", path: `${target.name}/manifests/1.0$` });
      const entry = { source, target, isWanted: (tag: string) => tag.startsWith("1.") };
      const results = await sync([entry]);
      equal(
        results.map(({ tag, outcome }) => `${tag} ${outcome instanceof Error ? outcome.kind : "ok"}`),
        ["1.0 denied", "1.1 ok"],
      );
      equal(await collect(target.tags()), ["1.1"]);
    },
  },
];
