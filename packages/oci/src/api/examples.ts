import { MEDIA_TYPE } from "../media-type.ts";

/** Contents of the examples. They are text, so that a shell can write them. */
const LAYER = "hello from a layer\n";
const LAYER_DIGEST = "sha256:afaa7f12f194b27a25fa164735ce4194572c9d314bc7b4d875c6289bb9721639";
const CONFIG = `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["${LAYER_DIGEST}"]}}`;
const CONFIG_DIGEST = "sha256:a3c6c5eda0141582435b79d54715da2802220bca66ebb87215613f4c8e27fd6e";
const EMPTY_DIGEST = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const MANIFEST = JSON.stringify({
  schemaVersion: 2,
  mediaType: MEDIA_TYPE.ociManifest,
  config: { mediaType: MEDIA_TYPE.ociConfig, digest: CONFIG_DIGEST, size: CONFIG.length },
  layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: LAYER_DIGEST, size: LAYER.length }],
});
const MANIFEST_DIGEST = "sha256:075ecc34e3e4f7e1cb076a5711ba5297fe2a7fe12a791c7f14bac23f11ec59de";
const IMAGE = { mediaType: MEDIA_TYPE.ociManifest, digest: MANIFEST_DIGEST, size: MANIFEST.length };
const NOTHING = { mediaType: MEDIA_TYPE.ociEmpty, digest: EMPTY_DIGEST, size: 2 };
const SBOM_TYPE = "application/vnd.example.sbom";
const INDEX = JSON.stringify({
  schemaVersion: 2,
  mediaType: MEDIA_TYPE.ociIndex,
  manifests: [{ ...IMAGE, platform: { architecture: "amd64", os: "linux" } }],
});
const ARTIFACT = JSON.stringify({
  schemaVersion: 2,
  mediaType: MEDIA_TYPE.ociManifest,
  artifactType: SBOM_TYPE,
  config: NOTHING,
  layers: [NOTHING],
  subject: IMAGE,
});

/** Files that the examples send, by name. */
export const EXAMPLE_FILES: Readonly<Record<string, string>> = {
  layer: LAYER,
  "layer-1": LAYER.slice(0, 10),
  "layer-2": LAYER.slice(10),
  config: CONFIG,
  empty: "{}",
  scratch: "not needed for long\n",
  manifest: MANIFEST,
  index: INDEX,
  artifact: ARTIFACT,
  target: JSON.stringify({ digest: MANIFEST_DIGEST }),
};

/** What the examples call by name. Those that a reader sets come first; UPLOAD and REFRESH_TOKEN come from answers. */
export const EXAMPLE_VARIABLES: Readonly<Record<string, string>> = {
  REGISTRY: "http://127.0.0.1:5000",
  USERNAME: "alice",
  PASSWORD: "correct horse battery",
  NAME: "demo/hello",
  COPY: "demo/copy",
  TAG: "v1",
  LAYER: LAYER_DIGEST,
  CONFIG: CONFIG_DIGEST,
  EMPTY: EMPTY_DIGEST,
  SCRATCH: "sha256:0c52ab075e6c231272c448c296d45a5aea2f2cea14d81739c08679434b37b260",
  MANIFEST: MANIFEST_DIGEST,
  INDEX: "sha256:f3d072c2f336ed9a48609dd68399362ccce615fc4aa201d02454d8da65292f9b",
  ARTIFACT: "sha256:4cc5d5d76d13f4c13b316b97568f1b5b89506a8965820f6d5f6a9f362e8408d2",
  SBOM_TYPE,
};

/** Which variable is the digest of which file. */
export const EXAMPLE_DIGESTS: Readonly<Record<string, string>> = {
  LAYER: "layer",
  CONFIG: "config",
  EMPTY: "empty",
  SCRATCH: "scratch",
  MANIFEST: "manifest",
  INDEX: "index",
  ARTIFACT: "artifact",
};
