export {
  type CredentialStore,
  type CredentialStoreOptions,
  createCredentialStore,
  type FoundCredentials,
  type KeptCredentials,
  type StoredCredentials,
} from "./credentials.ts";
