export {
  type CredentialStore,
  type CredentialStoreOptions,
  createCredentialStore,
  type FoundCredentials,
  type KeptCredentials,
  type StoredCredentials,
} from "./credentials.ts";
export { ArchiveSource } from "./archive-source.ts";
export { type ArchiveSink, ArchiveTarget, fileSink, streamSink } from "./archive-target.ts";
export { OciLayout } from "./oci-layout.ts";
export {
  namesIn,
  openSource,
  openTarget,
  type OpenedSource,
  type OpenedTarget,
  type TargetOptions,
} from "./open-transport.ts";
export { formatTransport, parseTransport, type Transport } from "./transport.ts";
export { pullImage, type PullOptions, pushImage, type PushOptions } from "./move-image.ts";
