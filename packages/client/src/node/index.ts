export {
  type CredentialStore,
  type CredentialStoreOptions,
  createCredentialStore,
  type FoundCredentials,
  type KeptCredentials,
  type StoredCredentials,
} from "./credentials.ts";
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
