import {
  digestOfLink,
  GRACE,
  isHeld,
  isNeeded,
  LEASE,
  linkOf,
  linksOf,
  type State,
  UNDO,
  without,
  type World,
} from "./protocol-state.ts";

/** Each function is one transaction of metadata/sql, on the model's state. */

/** Makes the link, or keeps it longer. `leased` is false where the lease is taken out. */
export function link(state: State, name: string, leased: boolean): State {
  const until = leased ? state.time + LEASE : state.time;
  const before = state.links[name];
  const reviewAt = before === undefined || before === null ? until : Math.max(before, until);
  // Without a lease a link that was there stays as it was.
  if (!leased && before !== undefined) return state;
  return { ...state, links: { ...state.links, [name]: reviewAt } };
}

/** blobs.findForPush: the time until which the answer holds, or null: not there. */
export function head(world: World, state: State, name: string): { state: State; until: number } | null {
  const reviewAt = state.links[name];
  if (reviewAt === undefined) return null;
  const promised = state.time + LEASE / 2;
  if (!world.rules.leaseOnHead) return { state, until: promised };
  if (reviewAt !== null && reviewAt - state.time >= LEASE / 2) return { state, until: reviewAt };
  return { state: link(state, name, true), until: state.time + LEASE };
}

/** manifests.put: null when something is missing. */
export function putManifest(world: World, state: State, name: string): State | null {
  const spec = world.manifests[name];
  if (spec === undefined) return null;
  const isThere = (blob: string) => state.links[linkOf(spec.repository, blob)] !== undefined;
  if (!spec.blobs.every(isThere)) return null;
  if (!spec.children.every((child) => state.manifests[child] !== undefined)) return null;
  return { ...state, manifests: { ...state.manifests, [name]: state.time } };
}

/** manifests.delete, by a person: null when it is not there or an index lists it. */
export function deleteManifest(world: World, state: State, name: string): State | null {
  if (state.manifests[name] === undefined || isListed(world, state, name)) return null;
  return dropManifest(world, state, name);
}

export function isListed(world: World, state: State, name: string): boolean {
  return Object.keys(state.manifests).some(
    (other) => world.manifests[other]?.children.includes(name) === true,
  );
}

function dropManifest(world: World, state: State, name: string): State {
  const manifests: Record<string, number> = { ...without(state.manifests, name) };
  for (const child of world.manifests[name]?.children ?? []) {
    if (manifests[child] !== undefined) manifests[child] = state.time;
  }
  return { ...state, manifests, records: [...state.records, { manifest: name, until: state.time + UNDO }] };
}

/** deletions.undo: null when it is too late or content is gone. */
export function undo(world: World, state: State, name: string): State | null {
  const record = state.records.find(({ manifest, until }) => manifest === name && until > state.time);
  if (record === undefined) return null;
  const restored = putManifest(world, state, name);
  if (restored === null) return null;
  return { ...restored, records: restored.records.filter((other) => other !== record) };
}

/** garbage.collectUntagged, for one manifest: null when it is kept. */
export function collectUntagged(world: World, state: State, name: string): State | null {
  const since = state.manifests[name];
  if (since === undefined || world.manifests[name]?.tagged !== false) return null;
  if (since + LEASE > state.time) return null;
  if (world.rules.parentsHold && isListed(world, state, name)) return null;
  return dropManifest(world, state, name);
}

/** garbage.expireDeletions, for one record: null when none is due. */
export function expireRecord(world: World, state: State): State | null {
  const record = state.records.find(({ until }) => until <= state.time);
  if (record === undefined) return null;
  const links: Record<string, number | null> = { ...state.links };
  for (const name of linksOf(world, record.manifest)) {
    if (world.rules.reviewReleased && links[name] === null) links[name] = state.time;
  }
  return { ...state, links, records: state.records.filter((other) => other !== record) };
}

/** garbage.collect, for one link that is due. */
export function review(world: World, state: State, name: string): State {
  if (isHeld(world, state, name)) return { ...state, links: { ...state.links, [name]: null } };
  return unlink(world, state, name);
}

/** Takes the link away, and the blob with its last link. A foreign key keeps what a manifest needs. */
export function unlink(world: World, state: State, name: string): State {
  if (state.links[name] === undefined || isNeeded(world, state, name)) return state;
  const digest = digestOfLink(name);
  const links = without(state.links, name);
  const key = state.blobs[digest];
  if (key === undefined || Object.keys(links).some((other) => digestOfLink(other) === digest)) {
    return { ...state, links };
  }
  const deleteAfter = state.time + (world.rules.grace ? GRACE : 0);
  const tombstones = { ...state.tombstones, [key]: state.tombstones[key] ?? deleteAfter };
  return { ...state, links, blobs: without(state.blobs, digest), tombstones };
}

/** garbage.expire, for one intent: null when none is due. */
export function expireIntent(state: State): State | null {
  const due = Object.entries(state.intents).find(([, expiresAt]) => expiresAt <= state.time);
  if (due === undefined) return null;
  const [key] = due;
  return {
    ...state,
    intents: without(state.intents, key),
    tombstones: { ...state.tombstones, [key]: state.time },
  };
}

export function dueLinks(state: State): readonly string[] {
  return Object.entries(state.links).flatMap(([name, reviewAt]) =>
    reviewAt !== null && reviewAt <= state.time ? [name] : [],
  );
}

export function dueKeys(state: State): readonly string[] {
  return Object.entries(state.tombstones).flatMap(([key, after]) => (after <= state.time ? [key] : []));
}

export function deleteObject(state: State, key: string): State {
  return { ...state, objects: without(state.objects, key) };
}

export function forgetTombstone(state: State, key: string): State {
  return { ...state, tombstones: without(state.tombstones, key) };
}

/** Objects that nothing leads to. */
export function orphans(state: State): readonly string[] {
  const keys = new Set(Object.values(state.blobs));
  return Object.keys(state.objects).filter(
    (key) => !keys.has(key) && state.intents[key] === undefined && state.tombstones[key] === undefined,
  );
}

/** garbage.adopt, for one object that was listed some time before. */
export function sweep(state: State, key: string): State {
  return { ...state, tombstones: { ...state.tombstones, [key]: state.time } };
}
