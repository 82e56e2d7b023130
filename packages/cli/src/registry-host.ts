import { ClientError } from "@stowage/client/client-error";
import { UsageError } from "./arguments.ts";

/** A registry that somebody typed, perhaps out of a browser. @throws UsageError */
export function requireHost(text: string): string {
  const host = text.replace(/^https?:\/\//, "").replace(/\/+$/, "");
  if (host === "" || /[/@\s]/.test(host))
    throw new UsageError(`"${text}" is no registry; wanted HOST or HOST:PORT`);
  return host;
}

/**
 * Whether the registry has no such endpoint: it is another one than Stowage. Some refuse everything that they do not know; so this is
 * to be asked only where signing in has gone well.
 */
export function isMissingEndpoint(error: unknown): boolean {
  return error instanceof ClientError && [400, 401, 403, 404, 405, 501].includes(error.status ?? 0);
}
