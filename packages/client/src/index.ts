export { ClientError, type ClientErrorDetails, type ClientErrorKind } from "./client-error.ts";
export type {
  BlobRef,
  ClosableTarget,
  ContentSource,
  ContentTarget,
  IoOptions,
  ManifestHead,
  OpenBytes,
  PutBlobOptions,
  RawManifest,
} from "./content.ts";
export { copy } from "./copy.ts";
export type { BlobOutcome, CopyOptions, CopyResult, ProgressEvent } from "./copy-options.ts";
export type { CredentialLookup, Credentials } from "./credentials.ts";
export { createHasher, type Hasher } from "./hasher.ts";
export {
  type ImageConfig,
  type ResolvedImage,
  readBlob,
  readConfig,
  requireManifest,
  resolveImage,
} from "./image.ts";
export { descriptorOf, type ManifestParts, manifestFrom, partsOf } from "./image-manifests.ts";
export {
  formatImageReference,
  type ImageReference,
  isRegistryHost,
  parseImageReference,
  requireImageReference,
  targetOf,
} from "./image-reference.ts";
export { type ImageSummary, inspectImage } from "./inspect-image.ts";
export type { PageOptions } from "./pages.ts";
export { entriesForPlatform, formatPlatform, requirePlatform } from "./platform.ts";
export { Registry } from "./registry.ts";
export {
  type ClientOptions,
  defaultFetch,
  type Fetch,
  isLoopback,
  RegistryClient,
} from "./registry-client.ts";
export { requestRegistryToken } from "./registry-token.ts";
export { Repository } from "./repository.ts";
export { piecesOf, streamOf } from "./streams.ts";
export { type SyncEntry, type SyncOptions, type SyncResult, sync } from "./sync.ts";
export { tagImage, untagImage } from "./tag-image.ts";
export { type ChunkBody, UploadSession } from "./upload-session.ts";
export { type Exchange, traced } from "./traced-fetch.ts";
export { type Clock, SYSTEM_CLOCK } from "./wait.ts";
