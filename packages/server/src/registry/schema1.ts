import { encodeBase64url } from "@stowage/oci/base64url";
import { findUnverified, type JsonSigner } from "@stowage/oci/json-signature";
import type { Schema1Manifest } from "@stowage/oci/manifest";
import { RegistryError } from "@stowage/oci/errors";
import type { RepositoryName } from "@stowage/oci/repository-name";
import { keyId } from "@stowage/oci/signature-key";
import type { Tag } from "@stowage/oci/tag";
import type { Schema1Mode } from "./manifest-form.ts";

export interface Schema1Push {
  readonly mode: Schema1Mode;
  readonly repository: RepositoryName;
  /** Tags that shall point at the manifest. */
  readonly tags: readonly Tag[];
}

/**
 * Refuses a schema 1 manifest that is not signed, or was signed for another place: clients of that time believe the name
 * inside. @throws RegistryError MANIFEST_INVALID, MANIFEST_UNVERIFIED
 */
export async function requireAcceptable(manifest: Schema1Manifest, push: Schema1Push): Promise<void> {
  if (push.mode === "off") {
    throw invalid("schema 1 is switched off; push schema 2 or OCI, or start the server with --schema1=asked");
  }
  if (manifest.name !== push.repository) {
    throw invalid(`it is signed for the name ${JSON.stringify(manifest.name)}; wanted "${push.repository}"`);
  }
  const other = push.tags.find((tag) => tag !== manifest.tag);
  if (other !== undefined) {
    throw invalid(`it is signed for the tag ${JSON.stringify(manifest.tag)}; wanted "${other}"`);
  }
  const problem = await findUnverified(manifest.signed);
  if (problem !== null) {
    throw new RegistryError("MANIFEST_UNVERIFIED", { message: `manifest unverified: ${problem}` });
  }
}

function invalid(problem: string): RegistryError {
  return new RegistryError("MANIFEST_INVALID", { message: `manifest invalid: ${problem}` });
}

/**
 * A key for what this process converts. It lives as long as the process: nobody can know it before, so nobody trusts
 * it, and the digest of a schema 1 manifest does not depend on it.
 */
export async function createSchema1Signer(): Promise<JsonSigner> {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, [
    "sign",
    "verify",
  ]);
  // Uncompressed: 4, then both coordinates (SEC 1 section 2.3.3).
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const x = encodeBase64url(point.subarray(1, 33));
  const y = encodeBase64url(point.subarray(33));
  const kid = await keyId(pair.publicKey);
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  return {
    jwk: { crv: "P-256", kid, kty: "EC", x, y },
    sign: async (bytes) => new Uint8Array(await crypto.subtle.sign(algorithm, pair.privateKey, bytes)),
  };
}
