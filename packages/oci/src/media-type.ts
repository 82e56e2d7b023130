/** Media types of the OCI image specification and of Docker's image manifest version 2, schema 1 and 2. */
export const MEDIA_TYPE = {
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  ociEmpty: "application/vnd.oci.empty.v1+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerSchema1: "application/vnd.docker.distribution.manifest.v1+json",
  dockerSchema1Signed: "application/vnd.docker.distribution.manifest.v1+prettyjws",
} as const;

/** An image has a config and layers, an index has manifests. */
export type ManifestKind = "image" | "index";

const MANIFEST_KINDS: ReadonlyMap<string, ManifestKind> = new Map([
  [MEDIA_TYPE.ociManifest, "image"],
  [MEDIA_TYPE.dockerManifest, "image"],
  [MEDIA_TYPE.ociIndex, "index"],
  [MEDIA_TYPE.dockerList, "index"],
]);

/** What a manifest of this media type is, or null when it is not one of these: schema 1 is neither. */
export function manifestKind(mediaType: string): ManifestKind | null {
  return MANIFEST_KINDS.get(mediaType) ?? null;
}

/** Docker's image manifest version 2, schema 1: as it is asked for and as it is sent. */
export function isSchema1Type(mediaType: string): boolean {
  return mediaType === MEDIA_TYPE.dockerSchema1 || mediaType === MEDIA_TYPE.dockerSchema1Signed;
}

/** The manifest media types that can be pushed, for messages and the API description. */
export const MANIFEST_MEDIA_TYPES: readonly string[] = [...MANIFEST_KINDS.keys()];

const CONFIGS_WITH_PLATFORM: ReadonlySet<string> = new Set([MEDIA_TYPE.ociConfig, MEDIA_TYPE.dockerConfig]);

/** Whether a config blob of this type says architecture and os. */
export function configHasPlatform(mediaType: string): boolean {
  return CONFIGS_WITH_PLATFORM.has(mediaType);
}

/** Layers that may stay outside the registry: OCI non-distributable and Docker foreign layers. */
export function isNonDistributable(mediaType: string): boolean {
  return (
    mediaType.startsWith("application/vnd.oci.image.layer.nondistributable.") ||
    mediaType === "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
  );
}

/** RFC 6838 section 4.2: type and subtype, each of at most 127 restricted characters. */
const MEDIA_TYPE_SYNTAX = /^[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}\/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}$/;

/** The media type in a Content-Type value, without parameters (RFC 9110 section 8.3.1), or null. */
export function parseMediaType(text: string): string | null {
  const semicolon = text.indexOf(";");
  const essence = (semicolon === -1 ? text : text.slice(0, semicolon)).trim();
  return MEDIA_TYPE_SYNTAX.test(essence) ? essence : null;
}
