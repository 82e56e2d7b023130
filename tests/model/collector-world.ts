/** The parts of the protocol. collector.test.ts takes each one out and shows what then goes wrong. */
export interface Rules {
  /** HEAD by a pusher renews a lease of which less than half is left. */
  readonly leaseOnHead: boolean;
  readonly leaseOnUpload: boolean;
  readonly leaseOnMount: boolean;
  /** So does the answer to a repeated finish of an upload, which looks whether the blob is still there. */
  readonly leaseOnRepeat: boolean;
  /** HEAD by a pusher, of an untagged manifest, begins its time anew when less than half is left. */
  readonly leaseOnManifestHead: boolean;
  /** Every upload gets a key of its own; and none is begun under a key that has a tombstone. */
  readonly generationKeys: boolean;
  /** The collector decides in the transaction in which it acts. */
  readonly recheck: boolean;
  /** A blob loses its row first and its object later. */
  readonly metadataFirst: boolean;
  /** An object outlives its row by the longest GET. */
  readonly grace: boolean;
  /** An upload becomes a blob only while its intent is there. */
  readonly intentCheck: boolean;
  /** Deleting a manifest makes the collector look at the links that it held. */
  readonly reviewOnDelete: boolean;
  /** An untagged manifest is kept by an index that lists it. */
  readonly parentsHold: boolean;
  /** Collectors look for objects that nothing leads to: a writer may sleep until its intent is long forgotten. */
  readonly sweep: boolean;
  /** With its intent a session ends too, so that no key is used again after it had a tombstone. */
  readonly expiryEndsSession: boolean;
}

export const DESIGN: Rules = {
  leaseOnHead: true,
  leaseOnUpload: true,
  leaseOnMount: true,
  leaseOnRepeat: true,
  leaseOnManifestHead: true,
  generationKeys: true,
  recheck: true,
  metadataFirst: true,
  grace: true,
  intentCheck: true,
  reviewOnDelete: true,
  parentsHold: true,
  sweep: true,
  expiryEndsSession: true,
};

/** In ticks of the model's clock. */
export interface Durations {
  readonly lease: number;
  readonly undo: number;
  readonly grace: number;
  readonly intent: number;
  /** How long an untagged manifest is kept; null: for ever. */
  readonly untagged: number | null;
}

/** Repositories, digests, keys and manifests are numbered from 0. */
export interface Manifest {
  readonly name: string;
  readonly repository: number;
  readonly blobs: readonly number[];
  readonly children: readonly number[];
  readonly tagged: boolean;
}

export interface World {
  readonly rules: Rules;
  readonly durations: Durations;
  readonly repositories: number;
  readonly digests: number;
  /** Keys of objects: first one for each digest, under which it lay before; then one for each upload session. */
  readonly keys: number;
  readonly manifests: readonly Manifest[];
}
