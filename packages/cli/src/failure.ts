import { ClientError, type ClientErrorKind } from "@stowage/client/client-error";
import { ApiError } from "./api-client.ts";
import { UsageError } from "./arguments.ts";
import { EXIT } from "./exit-codes.ts";
import { Interrupted } from "./process-world.ts";
import { printable } from "./table.ts";

/** Something that a command says about why it ends, with an exit code of its own and perhaps what to do. */
export class CommandError extends Error {
  readonly code: number;
  readonly hint: string | null;

  constructor(
    message: string,
    { code = EXIT.failed, hint = null }: { code?: number; hint?: string | null } = {},
  ) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

export interface Failure {
  readonly code: number;
  /** What is printed to standard error, whole lines. */
  readonly text: string;
}

const CODE_OF_KIND: Readonly<Record<ClientErrorKind, number>> = {
  invalid: EXIT.usage,
  "not-found": EXIT.notFound,
  unauthenticated: EXIT.unauthenticated,
  denied: EXIT.denied,
  conflict: EXIT.conflict,
  limited: EXIT.limited,
  refused: EXIT.failed,
  network: EXIT.network,
  mismatch: EXIT.mismatch,
  server: EXIT.server,
};

const CODE_OF_STATUS: Readonly<Record<number, number>> = {
  400: EXIT.usage,
  401: EXIT.unauthenticated,
  403: EXIT.denied,
  404: EXIT.notFound,
  409: EXIT.conflict,
  429: EXIT.limited,
};

/** What an error is to people and scripts; `name` is the command's. */
export function describeFailure(error: unknown, name: string): Failure {
  const interrupted = interruptionOf(error);
  if (interrupted !== null) return { code: interrupted.code, text: "" };
  const code = exitCodeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const text = `error: ${saysWhat(error, message, name) ? "" : `${name}: `}${printable(message)}\n`;
  const hint = hintOf(error, name);
  return { code, text: hint === null ? text : `${text}hint: ${printable(hint)}\n` };
}

/** Whether the message says itself what was being done: `pull HOST/REPO:TAG: ...`. */
function saysWhat(error: unknown, message: string, name: string): boolean {
  if (error instanceof ClientError && (error.operation !== null || error.status !== null)) return true;
  const verb = name.split(" ").at(-1) ?? name;
  return message.startsWith(`${verb} `) || message.startsWith(`${verb}:`);
}

/** What a signal left of a command: its reason comes up through whatever was waited for. */
function interruptionOf(error: unknown): Interrupted | null {
  if (error instanceof Interrupted) return error;
  return error instanceof Error && error.cause !== undefined ? interruptionOf(error.cause) : null;
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof CommandError) return error.code;
  if (error instanceof ClientError) return CODE_OF_KIND[error.kind];
  if (error instanceof ApiError) {
    return CODE_OF_STATUS[error.status] ?? (error.status >= 500 ? EXIT.server : EXIT.failed);
  }
  // What fetch throws says by its code that nobody answered.
  const isUnreachable =
    error instanceof Error &&
    "code" in error &&
    /^(?:Connection|ECONN|ENOTFOUND|EAI_|EHOST|ENET|ETIMEDOUT|ERR_TLS|[A-Z_]*CERT|FailedToOpenSocket)/.test(
      String(error.code),
    );
  return isUnreachable ? EXIT.network : EXIT.failed;
}

function hintOf(error: unknown, name: string): string | null {
  if (error instanceof CommandError) return error.hint;
  if (error instanceof UsageError) return `run \`stowage ${name} --help\``;
  if (!(error instanceof ClientError)) return null;
  switch (error.kind) {
    case "unauthenticated":
      return "sign in with `stowage login HOST`, or set STOWAGE_USERNAME and STOWAGE_PASSWORD";
    case "denied":
      return "this account may not do that; `stowage auth whoami HOST` says who you are";
    case "limited":
      return error.retryAfterSeconds === null ? null : `try again in ${error.retryAfterSeconds} s`;
    case "network":
      return networkHintOf(error);
    default:
      return null;
  }
}

function networkHintOf(error: ClientError): string | null {
  const told = textsOf(error).join(" ");
  if (/CERT|self.signed|issuer|ERR_TLS/i.test(told)) {
    return "the certificate is not trusted: --ca-cert FILE trusts its CA, --insecure does not check";
  }
  if (/SSL|wrong version|EPROTO|tls/i.test(told)) return "a registry without TLS needs --plain-http";
  return null;
}

/** Messages and codes of an error and of what it came from. */
function textsOf(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [];
  const code = "code" in error ? [String(error.code)] : [];
  return [error.message, ...code, ...textsOf(error.cause)];
}
