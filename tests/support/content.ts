import { type Digest, type DigestAlgorithm, digestFromHex } from "@stowage/oci/digest";

/** Bytes that are the same for the same seed (a xorshift generator). */
export function seededBytes(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = (seed * 2_654_435_761 + 1) >>> 0 || 1;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state >>> 0;
  }
  return new Uint8Array(words.buffer, 0, length);
}

export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = "sha256"): Digest {
  const digest = digestFromHex(algorithm, new Bun.CryptoHasher(algorithm).update(bytes).digest("hex"));
  if (digest === null) throw new Error("the hasher gave no digest");
  return digest;
}

export interface TestBlob {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly digest: Digest;
}

export function blobOf(bytes: Uint8Array<ArrayBuffer> | string): TestBlob {
  const content = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  return { bytes: content, digest: digestOf(content) };
}

export interface TestImage {
  readonly config: TestBlob;
  readonly layers: readonly TestBlob[];
  readonly manifest: TestBlob;
  readonly mediaType: string;
}

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";

/** An OCI image with the given layers; `extra` is merged into the manifest. */
export function imageOf(
  layers: readonly TestBlob[],
  extra: Readonly<Record<string, unknown>> = {},
): TestImage {
  const rootfs = { type: "layers", diff_ids: layers.map((layer) => layer.digest) };
  const config = blobOf(JSON.stringify({ architecture: "amd64", os: "linux", rootfs }));
  const describe = (mediaType: string, blob: TestBlob) => ({
    mediaType,
    digest: blob.digest,
    size: blob.bytes.byteLength,
  });
  const manifest = blobOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: describe("application/vnd.oci.image.config.v1+json", config),
      layers: layers.map((layer) => describe("application/vnd.oci.image.layer.v1.tar", layer)),
      ...extra,
    }),
  );
  return { config, layers, manifest, mediaType: OCI_MANIFEST };
}
