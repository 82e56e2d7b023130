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
