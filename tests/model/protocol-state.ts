/** The parts of the protocol. Each can be taken out, and then something must go wrong: see protocol.test.ts. */
export interface Rules {
  readonly leaseOnHead: boolean;
  readonly leaseOnUpload: boolean;
  readonly leaseOnMount: boolean;
  /** A new upload of a digest gets a new key. */
  readonly generationKeys: boolean;
  /** The collector decides in the transaction in which it acts. */
  readonly recheck: boolean;
  /** A blob loses its row first and its object later. */
  readonly metadataFirst: boolean;
  /** An object stays readable for the longest GET. */
  readonly grace: boolean;
  /** An upload becomes a blob only while its intent is there. */
  readonly intentCheck: boolean;
  /** When a deletion's record goes, its blobs are looked at again. */
  readonly reviewReleased: boolean;
  /** A deletion that can be undone keeps its blobs. */
  readonly recordsHold: boolean;
  /** An untagged manifest is kept by an index that lists it. */
  readonly parentsHold: boolean;
  /** A manifest that a pusher was shown is kept for a lease. */
  readonly leaseOnManifestHead: boolean;
  /** Now and then all objects are compared with the metadata. */
  readonly sweep: boolean;
}

export const DESIGN: Rules = {
  leaseOnHead: true,
  leaseOnUpload: true,
  leaseOnMount: true,
  generationKeys: true,
  recheck: true,
  metadataFirst: true,
  grace: true,
  intentCheck: true,
  reviewReleased: true,
  recordsHold: true,
  parentsHold: true,
  leaseOnManifestHead: true,
  sweep: true,
};

/** Durations, in ticks of the clock. */
export const LEASE = 2;
export const GRACE = 2;
export const UNDO = 1;
export const INTENT = 1;

/** A manifest that may come to exist in the world. */
export interface ManifestSpec {
  readonly repository: string;
  readonly blobs: readonly string[];
  readonly children: readonly string[];
  readonly tagged: boolean;
}

export interface World {
  readonly rules: Rules;
  readonly manifests: Readonly<Record<string, ManifestSpec>>;
  readonly ticksMax: number;
  readonly crashesMax: number;
}

/** What a person or a part of the server is in the middle of. */
export interface ActorState {
  readonly at: string;
  /** The time until which what it was told holds, or at which it read. */
  readonly until: number;
  /** A key or a link that it has in hand. */
  readonly hand: string;
}

interface DeletionRecord {
  readonly manifest: string;
  readonly until: number;
}

/** Everything there is. Values are never changed in place; links are named `<repository>/<digest>`. */
export interface State {
  readonly time: number;
  readonly crashes: number;
  /** Link -> time of its review, or null: held. */
  readonly links: Readonly<Record<string, number | null>>;
  /** Digest -> key. */
  readonly blobs: Readonly<Record<string, string>>;
  readonly objects: Readonly<Record<string, true>>;
  /** Key -> time from which it may be deleted. */
  readonly tombstones: Readonly<Record<string, number>>;
  /** Key -> time at which it expires. */
  readonly intents: Readonly<Record<string, number>>;
  /** Manifest -> since when it is loose; for tagged ones it does not matter. */
  readonly manifests: Readonly<Record<string, number>>;
  readonly records: readonly DeletionRecord[];
  readonly actors: readonly ActorState[];
}

export const EMPTY: State = {
  time: 0,
  crashes: 0,
  links: {},
  blobs: {},
  objects: {},
  tombstones: {},
  intents: {},
  manifests: {},
  records: [],
  actors: [],
};

export const digestOfLink = (link: string): string => link.split("/")[1] ?? "";
export const linkOf = (repository: string, digest: string): string => `${repository}/${digest}`;

export function without<T>(map: Readonly<Record<string, T>>, key: string): Readonly<Record<string, T>> {
  const { [key]: _, ...rest } = map;
  return rest;
}

/** Links that a manifest needs. */
export function linksOf(world: World, name: string): readonly string[] {
  const spec = world.manifests[name];
  return spec === undefined ? [] : spec.blobs.map((digest) => linkOf(spec.repository, digest));
}

/** Whether a manifest holds the link. */
export function isNeeded(world: World, state: State, link: string): boolean {
  return Object.keys(state.manifests).some((name) => linksOf(world, name).includes(link));
}

/** Whether a manifest, or a deletion that can be undone, holds the link. */
export function isHeld(world: World, state: State, link: string): boolean {
  if (isNeeded(world, state, link)) return true;
  return (
    world.rules.recordsHold && state.records.some((record) => linksOf(world, record.manifest).includes(link))
  );
}

/** The text by which states are told apart. */
export function nameOf(state: State): string {
  return JSON.stringify(state, (_, value: unknown) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
