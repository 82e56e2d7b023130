import type { Digest } from "@stowage/oci/digest";
import { RegistryError } from "@stowage/oci/errors";
import type { RepositoryName } from "@stowage/oci/repository-name";
import {
  describeUse,
  type Metadata,
  type Quota,
  QUOTA_RESOURCES,
  QuotaExceeded,
  type QuotaLimits,
  type QuotaNamespace,
  type UploadSession,
} from "../metadata/metadata.ts";

export { type Quota, QuotaExceeded, type QuotaLimits, type QuotaNamespace };

/** Most quotas of a registry: with each piece of content that comes, those below its first part are looked at. */
const QUOTAS_MAX = 10_000;

/** Part of a limit from which on pushers are warned. */
const WARNING_SHARE = 0.9;

/** Quotas as administrators see them, and what they say to pushers who are let in. */
export class Quotas {
  readonly #metadata: Metadata;

  constructor(metadata: Metadata) {
    this.#metadata = metadata;
  }

  async list(query: {
    readonly after: QuotaNamespace | null;
    readonly entriesMax: number;
  }): Promise<{ readonly entries: readonly Quota[]; readonly next: QuotaNamespace | null }> {
    const entriesMax = query.entriesMax + 1;
    const found = await this.#metadata.quotas.list({ ...query, entriesMax });
    const entries = found.slice(0, query.entriesMax);
    const next = found.length > entries.length ? (entries.at(-1)?.namespace ?? null) : null;
    return { entries, next };
  }

  /** @throws RegistryError QUOTA_UNKNOWN */
  async require(namespace: QuotaNamespace): Promise<Quota> {
    const found = await this.#metadata.quotas.find(namespace);
    if (found === null) throw unknownQuota(namespace);
    return found;
  }

  /** Sets the limits; what is above them already stays, and nothing is added to it. @throws RegistryError CONFLICT */
  async set(namespace: QuotaNamespace, limits: QuotaLimits): Promise<Quota> {
    const quota = await this.#metadata.quotas.put(namespace, limits, { quotasMax: QUOTAS_MAX });
    if (quota !== null) return quota;
    throw new RegistryError("CONFLICT", {
      message: `cannot add a quota: there are ${QUOTAS_MAX} already; delete one first`,
    });
  }

  /** @throws RegistryError QUOTA_UNKNOWN */
  async delete(namespace: QuotaNamespace): Promise<void> {
    if (!(await this.#metadata.quotas.delete(namespace))) throw unknownQuota(namespace);
  }

  /** What a pusher should know: quotas of the repository that are nearly used up, in words. */
  async warnings(repository: RepositoryName): Promise<readonly string[]> {
    const quotas = await this.#metadata.quotas.applyingTo(repository);
    return quotas.flatMap(({ namespace, limits, used }) =>
      QUOTA_RESOURCES.flatMap((resource) => {
        const limit = limits[resource];
        if (limit === null || used[resource] < limit * WARNING_SHARE) return [];
        return [`quota: ${describeUse({ namespace, resource, limit, used: used[resource] })}`];
      }),
    );
  }
}

/** What may still come. The units of work decide; this keeps bytes from being received that they would refuse. */
export interface Room {
  /** Bytes; Infinity without a quota. */
  readonly bytes: number;
  /** What is said of more. */
  readonly refusal: QuotaExceeded | null;
}

/** @throws QuotaExceeded when nothing fits into the repository, or it would be one too many */
export async function requireRoom(
  metadata: Metadata,
  repository: RepositoryName,
  wanted: Digest | null,
): Promise<void> {
  const quotas = await metadata.quotas.applyingTo(repository);
  const full = quotas.flatMap(({ namespace, limits, used }) =>
    (["bytes", "repositories"] as const).flatMap((resource) => {
      const limit = limits[resource];
      return limit === null || used[resource] < limit
        ? []
        : [{ namespace, resource, limit, used: used[resource] }];
    }),
  );
  if (full.length === 0) return;
  const isCharged = wanted !== null && (await metadata.quotas.chargedBytes(repository, wanted)) !== null;
  const isThere = (await metadata.inventory.repository(repository)) !== null;
  for (const excess of full) {
    const needsNothing = excess.resource === "bytes" ? isCharged : isThere;
    if (!needsNothing) throw new QuotaExceeded(excess);
  }
}

/** Room for the next bytes of a session. */
export async function roomFor(metadata: Metadata, session: UploadSession): Promise<Room> {
  const { repository, charged, offset } = session;
  let room: Room = { bytes: Number.POSITIVE_INFINITY, refusal: null };
  for (const { namespace, limits, used } of await metadata.quotas.applyingTo(repository)) {
    if (limits.bytes === null) continue;
    const bytes = Math.max(0, limits.bytes - used.bytes + charged - offset);
    if (bytes >= room.bytes) continue;
    const excess = { namespace, resource: "bytes", limit: limits.bytes, used: used.bytes } as const;
    room = { bytes, refusal: new QuotaExceeded(excess) };
  }
  return room;
}

function unknownQuota(namespace: QuotaNamespace): RegistryError {
  return new RegistryError("QUOTA_UNKNOWN", { detail: { namespace } });
}
