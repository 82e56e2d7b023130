import { RegistryError } from "@stowage/oci/errors";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Digest } from "@stowage/oci/digest";

/** What a quota is for: the repository of that very name and everything below it; "" is the whole registry. */
export type QuotaNamespace = RepositoryName | "";

export const QUOTA_RESOURCES = ["bytes", "repositories", "tags"] as const;

export type QuotaResource = (typeof QUOTA_RESOURCES)[number];

/** Most of each; null: no limit. */
export type QuotaLimits = Readonly<Record<QuotaResource, number | null>>;

export interface Quota {
  readonly namespace: QuotaNamespace;
  readonly limits: QuotaLimits;
  /** What the namespace holds now. Bytes are those of docs/quotas.md: what is kept for undo and open uploads count. */
  readonly used: Readonly<Record<QuotaResource, number>>;
}

/**
 * Limits of what a namespace may hold. Every unit of work that adds something decides inside its transaction, and throws
 * QuotaExceeded instead of having any effect; one that adds nothing is never refused, whatever is in use.
 */
export interface QuotaMetadata {
  /** By namespace; `after` null begins with the registry's own. */
  list(query: {
    readonly after: QuotaNamespace | null;
    readonly entriesMax: number;
  }): Promise<readonly Quota[]>;
  find(namespace: QuotaNamespace): Promise<Quota | null>;
  /** Those that hold for a repository, which need not exist, the widest first. */
  applyingTo(repository: RepositoryName): Promise<readonly Quota[]>;
  /** Bytes of the blob when the repository is charged for it already, else null. */
  chargedBytes(repository: RepositoryName, digest: Digest): Promise<number | null>;
  /** Sets the limits, below what is in use, too. Null: there are `quotasMax` others already. */
  put(
    namespace: QuotaNamespace,
    limits: QuotaLimits,
    options: { readonly quotasMax: number },
  ): Promise<Quota | null>;
  /** False when there was none. */
  delete(namespace: QuotaNamespace): Promise<boolean>;
}

/** What would not have fitted. */
export interface QuotaExcess {
  readonly namespace: QuotaNamespace;
  readonly resource: QuotaResource;
  readonly limit: number;
  /** In use before. */
  readonly used: number;
}

/**
 * A namespace may not hold what was to be added: 403 DENIED. Not 401 and not 429, after which clients try again; 403 is
 * what Harbor answers, and clients print its message.
 */
export class QuotaExceeded extends RegistryError {
  constructor(excess: QuotaExcess) {
    super("DENIED", {
      message: `quota exceeded: ${describeUse(excess)}; delete something or ask an administrator`,
      detail: excess,
    });
    this.name = "QuotaExceeded";
  }
}

const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `the namespace "team" may hold 10 GiB and holds 9.8 GiB`. */
export function describeUse({ namespace, resource, limit, used }: QuotaExcess): string {
  const who = namespace === "" ? "the registry" : `the namespace "${namespace}"`;
  if (resource === "bytes") return `${who} may hold ${formatBytes(limit)} and holds ${formatBytes(used)}`;
  return `${who} may hold ${limit} ${resource} and holds ${used}`;
}

function formatBytes(bytes: number): string {
  let value = bytes;
  let unit: string = "bytes";
  for (const next of UNITS) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return `${Math.floor(value * 100) / 100} ${unit}`;
}
