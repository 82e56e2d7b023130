import type { Digest } from "@stowage/oci/digest";
import type { Random } from "../support/random.ts";
import type { Content } from "./content.ts";
import type { Endings, Score } from "./score.ts";
import type { Terms } from "./terms.ts";
import type { Wire } from "./wire.ts";

/** What all clients of a run share. */
export interface Race {
  readonly wire: Wire;
  readonly score: Score;
  readonly endings: Endings;
  readonly random: Random;
  readonly content: Content;
  /** What the clients believe that they were promised. */
  readonly terms: Terms;
  /** Every manifest that was ever acknowledged. */
  readonly known: Set<KnownPath>;
  /** Those of them that nobody has asked to delete since. */
  readonly present: Set<KnownPath>;
  /** Whether the clients shall end. */
  readonly isOver: () => boolean;
}

/** `<repository> <digest>`: how a manifest, or its deletion, is noted. */
export type KnownPath = `${string} ${Digest}`;

export function manifestPath(repository: string, reference: string): string {
  return `/v2/${repository}/manifests/${reference}`;
}

export function blobPath(repository: string, digest: Digest): string {
  return `/v2/${repository}/blobs/${digest}`;
}
