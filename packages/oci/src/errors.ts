/**
 * Every error code the registry can answer with, declared once: code -> HTTP status and default message.
 *
 * The first block is the table of the OCI Distribution Specification ("Error Codes") with the codes that
 * Docker Registry HTTP API V2 adds; the second block is Stowage's own, for answers neither document names.
 */
export const ERROR_CODES = {
  BLOB_UNKNOWN: { status: 404, message: "blob unknown to registry" },
  BLOB_UPLOAD_INVALID: { status: 400, message: "blob upload invalid" },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: "blob upload unknown to registry" },
  DENIED: { status: 403, message: "requested access to the resource is denied" },
  DIGEST_INVALID: { status: 400, message: "provided digest did not match uploaded content" },
  MANIFEST_BLOB_UNKNOWN: {
    status: 400,
    message: "manifest references a manifest or blob unknown to registry",
  },
  MANIFEST_INVALID: { status: 400, message: "manifest invalid" },
  MANIFEST_UNKNOWN: { status: 404, message: "manifest unknown to registry" },
  MANIFEST_UNVERIFIED: { status: 400, message: "manifest failed signature verification" },
  NAME_INVALID: { status: 400, message: "invalid repository name" },
  NAME_UNKNOWN: { status: 404, message: "repository name not known to registry" },
  PAGINATION_NUMBER_INVALID: { status: 400, message: "invalid number of results requested" },
  RANGE_INVALID: { status: 416, message: "invalid content range" },
  SIZE_INVALID: { status: 413, message: "content is larger than allowed" },
  TAG_INVALID: { status: 400, message: "invalid tag" },
  TOOMANYREQUESTS: { status: 429, message: "too many requests" },
  UNAUTHORIZED: { status: 401, message: "authentication required" },
  UNSUPPORTED: { status: 405, message: "the operation is unsupported" },

  ACCOUNT_UNKNOWN: { status: 404, message: "account unknown" },
  BLOB_IN_USE: { status: 405, message: "blob is referenced by a manifest of this repository" },
  CONFLICT: { status: 409, message: "the state of the registry does not allow it" },
  DELETION_UNKNOWN: { status: 404, message: "deletion unknown, or it cannot be undone any more" },
  INTERNAL_ERROR: { status: 500, message: "the registry failed to answer; the incident is in its log" },
  MANIFEST_IN_USE: { status: 405, message: "manifest is referenced by an index of this repository" },
  QUOTA_UNKNOWN: { status: 404, message: "no quota is set for this namespace" },
  REQUEST_INVALID: { status: 400, message: "malformed request" },
  ROUTE_UNKNOWN: { status: 404, message: "no such endpoint" },
  STORAGE_FULL: { status: 507, message: "the registry has no storage space left" },
  TAG_IMMUTABLE: { status: 409, message: "tag is immutable" },
  TOKEN_UNKNOWN: { status: 404, message: "token unknown" },
  UNAVAILABLE: { status: 503, message: "the registry is not able to answer now" },
} as const satisfies Record<string, { status: number; message: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface RegistryErrorOptions {
  /** What exactly was wrong, for a person: says the action, quotes the value, gives current and wanted state. */
  readonly message?: string;
  /** Machine-readable `detail` of the error envelope. Never a path, SQL or a stack. */
  readonly detail?: unknown;
  /** Headers that the answer must carry, for example `Range` with a 416. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** The client's fault (or a stated condition of the registry): becomes the JSON error envelope in one place. */
export class RegistryError extends Error {
  readonly code: ErrorCode;
  readonly detail: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, options: RegistryErrorOptions = {}) {
    super(
      options.message ?? ERROR_CODES[code].message,
      options.cause === undefined ? {} : { cause: options.cause },
    );
    this.name = "RegistryError";
    this.code = code;
    this.detail = options.detail ?? null;
    this.headers = options.headers ?? {};
  }

  /** HTTP status that belongs to the code. */
  get status(): number {
    return ERROR_CODES[this.code].status;
  }
}

/** One entry of the error envelope, `{"errors": [...]}` (OCI Distribution Specification, "Error Codes"). */
export interface ErrorEntry {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail: unknown;
}
