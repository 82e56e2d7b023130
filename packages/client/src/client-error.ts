import type { Digest } from "@stowage/oci/digest";

/**
 * What went wrong, in words that a program can decide by. One kind is one exit code of the command line.
 *
 * - `invalid`: what the caller asked for makes no sense; nothing was sent, or the registry answered 400
 * - `not-found`, `unauthenticated`, `denied`, `conflict`, `limited`: 404, 401, 403, 409/412, 429
 * - `refused`: any other 4xx
 * - `network`: no answer: name, connection, TLS, timeout, a body that broke off
 * - `mismatch`: bytes are not what their digest or size says
 * - `server`: the registry failed (5xx) or answers what no registry answers
 */
export type ClientErrorKind =
  | "invalid"
  | "not-found"
  | "unauthenticated"
  | "denied"
  | "conflict"
  | "limited"
  | "refused"
  | "network"
  | "mismatch"
  | "server";

export interface ClientErrorDetails {
  /** HTTP status, when there was an answer. */
  readonly status?: number;
  /** Code of the answer's first error, for example `MANIFEST_UNKNOWN`; another registry may have its own. */
  readonly code?: string | null;
  /** What was being done, for example `pull localhost:5000/team/app:1.0`. */
  readonly operation?: string;
  /** How long the registry asks to wait, in seconds. */
  readonly retryAfterSeconds?: number | null;
  /** With `mismatch`: what was wanted and what came. */
  readonly wanted?: Digest | number;
  readonly got?: Digest | number;
  readonly cause?: unknown;
}

/** Everything that this library throws, but for an aborted signal's own reason. */
export class ClientError extends Error {
  readonly kind: ClientErrorKind;
  readonly status: number | null;
  readonly code: string | null;
  readonly operation: string | null;
  readonly retryAfterSeconds: number | null;
  readonly wanted: Digest | number | null;
  readonly got: Digest | number | null;

  /** The operation, when there is one, stands in front of the message. */
  constructor(kind: ClientErrorKind, message: string, details: ClientErrorDetails = {}) {
    const { operation = null, status = null, code = null, retryAfterSeconds = null } = details;
    super(operation === null ? message : `${operation}: ${message}`, { cause: details.cause });
    this.name = "ClientError";
    this.kind = kind;
    this.status = status;
    this.code = code;
    this.operation = operation;
    this.retryAfterSeconds = retryAfterSeconds;
    this.wanted = details.wanted ?? null;
    this.got = details.got ?? null;
  }
}
