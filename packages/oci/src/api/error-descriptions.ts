import type { ErrorCode } from "../errors.ts";

export interface ErrorDescription {
  /** When it is the answer, and what to do. */
  readonly description: string;
  /** Which API answers with it: `/v2/` and the token endpoint, the management API, or both. */
  readonly answeredBy: "registry" | "management" | "both";
}

/** What each error code means, for documentation. The table that the server needs is ERROR_CODES. */
export const ERROR_DESCRIPTIONS: Readonly<Record<ErrorCode, ErrorDescription>> = {
  BLOB_UNKNOWN: registry(
    "The repository does not have the blob. Other repositories may: then it can be mounted.",
  ),
  BLOB_UPLOAD_INVALID: registry(
    "The chunk contradicts itself (Content-Range and Content-Length), or the client was slower than the registry waits. The session stays.",
  ),
  BLOB_UPLOAD_UNKNOWN: registry(
    "There is no such session: it was finished, cancelled, belongs to somebody else, or ended after a week without progress. Begin a new one.",
  ),
  DENIED: both(
    "The caller is known, and no rule gives them this; or the quota of the namespace is used up. The message says which. Asking again does not help.",
  ),
  DIGEST_INVALID: registry(
    "The digest is malformed, of an algorithm other than sha256 and sha512, or not the one of the content. An upload ends with it.",
  ),
  MANIFEST_BLOB_UNKNOWN: registry(
    "The manifest refers to blobs or manifests that its repository does not have; `detail` names them. Push those first.",
  ),
  MANIFEST_INVALID: registry(
    "The manifest cannot be read, contradicts its media type, or says another size than the content has. The message says where.",
  ),
  MANIFEST_UNKNOWN: registry("The repository has no manifest of this tag or digest."),
  MANIFEST_UNVERIFIED: registry("The signature of a manifest of the old schema 1 does not fit its content."),
  NAME_INVALID: both("The repository name does not follow the grammar, or is longer than 255 characters."),
  NAME_UNKNOWN: both("There is no such repository."),
  PAGINATION_NUMBER_INVALID: registry("`n` is not a whole number."),
  RANGE_INVALID: registry(
    "A chunk does not continue the upload: `Range` and `Location` say where to go on. For a download: the range is outside the blob.",
  ),
  SIZE_INVALID: both(
    "The body is longer than the endpoint reads: 4 MiB for manifests, 64 KiB for the token endpoint.",
  ),
  TAG_INVALID: registry("The tag does not follow the grammar, or more than 100 were given."),
  TOOMANYREQUESTS: both("More requests, pulls or sign-ins than are allowed. Wait for `Retry-After`."),
  UNAUTHORIZED: both(
    "Nobody has signed in, the credentials are wrong or have ended, or the token is not good for this. The challenge says which token would be.",
  ),
  UNSUPPORTED: both("The path does not have this method, or the registry is read-only."),

  ACCOUNT_UNKNOWN: management("There is no account of this name."),
  BLOB_IN_USE: registry("A manifest of the repository needs the blob. Delete the manifest first."),
  CONFLICT: management(
    "Something of that name is there, the document was changed meanwhile, or a deletion cannot be undone because its content is gone.",
  ),
  DELETION_UNKNOWN: management(
    "There is no such deletion, or the time in which it can be undone has passed.",
  ),
  INTERNAL_ERROR: both("A fault of the registry. Its log says more, under the `X-Request-Id` of the answer."),
  MANIFEST_IN_USE: registry("An index of the repository lists the manifest. Delete the index first."),
  QUOTA_UNKNOWN: management("No quota is set for this namespace."),
  REQUEST_INVALID: both(
    "The request cannot be read: two Host headers, or a form or JSON document that is not one.",
  ),
  ROUTE_UNKNOWN: both("No endpoint has this path."),
  STORAGE_FULL: registry("The disk of the registry is full. What was acknowledged is safe."),
  TAG_IMMUTABLE: both("A policy says that this tag is set once. Use another tag."),
  TOKEN_UNKNOWN: management("There is no such access token."),
  UNAVAILABLE: both("The database is busy. Try again in a moment."),
};

function registry(description: string): ErrorDescription {
  return { description, answeredBy: "registry" };
}

function management(description: string): ErrorDescription {
  return { description, answeredBy: "management" };
}

function both(description: string): ErrorDescription {
  return { description, answeredBy: "both" };
}
