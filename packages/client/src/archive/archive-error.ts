import type { Digest } from "@stowage/oci/digest";
import type { ErrorCode } from "@stowage/oci/errors";
import { ClientError, type ClientErrorKind } from "../client-error.ts";

/** The code that a registry answers with when it is sent such an archive. */
export type ArchiveErrorCode = Extract<
  ErrorCode,
  "MANIFEST_INVALID" | "MANIFEST_BLOB_UNKNOWN" | "MANIFEST_UNKNOWN" | "DIGEST_INVALID" | "SIZE_INVALID"
>;

const CODES: ReadonlySet<string> = new Set<ArchiveErrorCode>([
  "MANIFEST_INVALID",
  "MANIFEST_BLOB_UNKNOWN",
  "MANIFEST_UNKNOWN",
  "DIGEST_INVALID",
  "SIZE_INVALID",
]);

export function isArchiveErrorCode(code: string | null): code is ArchiveErrorCode {
  return code !== null && CODES.has(code);
}

/** The archive is broken, hostile, or can be understood in two ways. */
export function badArchive(problem: string): ClientError {
  return archiveError("invalid", "MANIFEST_INVALID", `archive refused: ${problem}`);
}

/** The archive has more of something than is read. */
export function archiveTooLarge(problem: string): ClientError {
  return archiveError("invalid", "SIZE_INVALID", `archive refused: ${problem}`);
}

/** A manifest of the archive names content that is not in it. */
export function missingContent(problem: string): ClientError {
  return archiveError("invalid", "MANIFEST_BLOB_UNKNOWN", `archive refused: ${problem}`);
}

/** Bytes of the archive have another digest than their name, or a manifest, says. */
export function wrongDigest(what: string, { wanted, got }: { wanted: Digest; got: Digest }): ClientError {
  const message = `archive refused: the digest of ${what} is ${got}; wanted ${wanted}`;
  return new ClientError("mismatch", message, { code: "DIGEST_INVALID", wanted, got });
}

/** The archive is good, but has no image, or not exactly one, of the name that is asked for. */
export function noSuchImage(problem: string): ClientError {
  return archiveError("not-found", "MANIFEST_UNKNOWN", problem);
}

export function archiveError(kind: ClientErrorKind, code: ArchiveErrorCode, message: string): ClientError {
  return new ClientError(kind, message, { code });
}
