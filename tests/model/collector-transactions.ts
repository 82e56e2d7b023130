import {
  blobCell,
  type Db,
  digestOf,
  drop,
  ENDED,
  FINISHED,
  get,
  has,
  HELD,
  intentCell,
  linkCell,
  linkOf,
  linksIn,
  manifestCell,
  NONE,
  now,
  objectCell,
  repositoryOf,
  sessionCell,
  set,
  stagedCell,
  tombstoneCell,
  withdrawnCell,
} from "./collector-cells.ts";

// Each exported function is one transaction, or one operation of the object store.

export const isReadable = (db: Db, link: number): boolean =>
  has(db, linkCell(link)) && has(db, blobCell(db.world, digestOf(db.world, link)));

/** Inserts the link or raises its review; until when the link is promised. */
function lease(db: Db, link: number, leased: boolean): number {
  const cell = linkCell(link);
  const before = get(db, cell);
  const until = now(db) + db.world.durations.lease;
  // With the lease taken out, a link that is there stays as it is.
  if (!leased) set(db, cell, before === NONE ? now(db) : before);
  else set(db, cell, before === NONE || before === HELD ? until : Math.max(before, until));
  return until;
}

/** Until when the yes holds, or null: not there. */
export function head(db: Db, link: number): number | null {
  const { rules, durations } = db.world;
  if (!isReadable(db, link)) return null;
  if (!rules.leaseOnHead) return now(db) + durations.lease / 2;
  const reviewAt = get(db, linkCell(link));
  const isLong = reviewAt !== HELD && reviewAt - now(db) >= durations.lease / 2;
  return isLong ? reviewAt : lease(db, link, true);
}

export function mount(db: Db, from: number, to: number): number | null {
  return isReadable(db, from) ? lease(db, to, db.world.rules.leaseOnMount) : null;
}

/** A session whose bytes are to become the blob of a link. */
export interface Upload {
  readonly session: number;
  readonly link: number;
}

/** Generations: the session's own key. Without them all uploads of a digest, and what was before, share one. */
const keyOf = ({ world }: Db, { session, link }: Upload): number =>
  world.rules.generationKeys ? session : digestOf(world, link);

/** A promise: the blob was there. "proceed": the bytes may be moved. "gone": the session is over. */
export function prepareFinish(db: Db, upload: Upload): number | "proceed" | "gone" {
  const { world } = db;
  const session = sessionCell(world, upload.session);
  if (get(db, session) === FINISHED) return repeatFinish(db, upload);
  if (get(db, session) === ENDED) return "gone";
  if (world.rules.generationKeys && has(db, tombstoneCell(world, upload.session))) return "gone";
  if (has(db, blobCell(world, digestOf(world, upload.link)))) {
    set(db, session, FINISHED);
    return lease(db, upload.link, world.rules.leaseOnUpload);
  }
  set(db, intentCell(world, keyOf(db, upload)), now(db) + world.durations.intent);
  return "proceed";
}

/** The same request again, after it was done: a positive answer like any other. */
function repeatFinish(db: Db, { link }: Upload): number | "gone" {
  const { rules, durations } = db.world;
  if (!rules.leaseOnRepeat) return now(db) + durations.lease / 2;
  return isReadable(db, link) ? lease(db, link, true) : "gone";
}

/** Whether the object has its name now: a repeated request may find that it has it already. */
export function moveBytes(db: Db, upload: Upload): boolean {
  const staged = stagedCell(db.world, upload.session);
  const object = objectCell(db.world, keyOf(db, upload));
  if (has(db, staged)) {
    drop(db, staged);
    set(db, object, 1);
  }
  return has(db, object);
}

export function finish(db: Db, upload: Upload): number | "gone" {
  const { world } = db;
  const key = keyOf(db, upload);
  const session = sessionCell(world, upload.session);
  if (get(db, session) === FINISHED) return repeatFinish(db, upload);
  if (world.rules.intentCheck && !has(db, intentCell(world, key))) return "gone";
  drop(db, intentCell(world, key));
  set(db, session, FINISHED);
  const blob = blobCell(world, digestOf(world, upload.link));
  if (!has(db, blob)) set(db, blob, key);
  else if (get(db, blob) !== key) addTombstone(db, key, now(db));
  return lease(db, upload.link, world.rules.leaseOnUpload);
}

export function putManifest(db: Db, at: number): boolean {
  const manifest = db.world.manifests[at];
  if (manifest === undefined) return false;
  const { repository, blobs, children, tagged } = manifest;
  if (!blobs.every((digest) => isReadable(db, linkOf(db.world, repository, digest)))) return false;
  if (!children.every((child) => has(db, manifestCell(db.world, child)))) return false;
  const cell = manifestCell(db.world, at);
  const staysHeld = tagged || get(db, cell) === HELD;
  set(db, cell, staysHeld ? HELD : now(db));
  drop(db, withdrawnCell(db.world, at));
  return true;
}

/** Like head, for a manifest by its digest. */
export function headManifest(db: Db, at: number): number | null {
  const cell = manifestCell(db.world, at);
  const since = get(db, cell);
  if (since === NONE) return null;
  const { rules, durations } = db.world;
  const untagged = durations.untagged ?? 0;
  // Whoever holds it now, it is loose from then on when that one goes.
  if (since === HELD) return now(db) + untagged;
  const isLong = since + untagged - now(db) >= untagged / 2;
  if (!rules.leaseOnManifestHead) return now(db) + untagged / 2;
  if (!isLong) set(db, cell, now(db));
  return get(db, cell) + untagged;
}

export function isListed(db: Db, at: number): boolean {
  return db.world.manifests.some(
    ({ children }, index) => children.includes(at) && has(db, manifestCell(db.world, index)),
  );
}

/** DELETE by a person: false when it is not there or an index lists it. */
export function deleteManifest(db: Db, at: number): boolean {
  if (!has(db, manifestCell(db.world, at)) || isListed(db, at)) return false;
  dropManifest(db, at);
  const isChild = db.world.manifests.some(({ children }) => children.includes(at));
  if (isChild) set(db, withdrawnCell(db.world, at), 1);
  return true;
}

function dropManifest(db: Db, at: number): void {
  const { world } = db;
  const manifest = world.manifests[at];
  drop(db, manifestCell(world, at));
  for (const digest of manifest?.blobs ?? []) {
    const cell = linkCell(linkOf(world, manifest?.repository ?? 0, digest));
    const before = get(db, cell);
    const reviewAt = now(db) + world.durations.undo;
    if (world.rules.reviewOnDelete) set(db, cell, before === HELD ? reviewAt : Math.max(before, reviewAt));
  }
  for (const child of manifest?.children ?? []) {
    const cell = manifestCell(world, child);
    if (get(db, cell) === HELD && !world.manifests[child]?.tagged) set(db, cell, now(db));
  }
}

export function isNeeded(db: Db, link: number): boolean {
  const repository = repositoryOf(db.world, link);
  const digest = digestOf(db.world, link);
  return db.world.manifests.some(
    (manifest, at) =>
      manifest.repository === repository &&
      manifest.blobs.includes(digest) &&
      has(db, manifestCell(db.world, at)),
  );
}

/** The collector, for one link that is due; a batch is some of them with nothing in between. */
export function review(db: Db, link: number): void {
  if (isNeeded(db, link)) set(db, linkCell(link), HELD);
  else unlink(db, link);
}

export function unlink(db: Db, link: number): void {
  const { world } = db;
  drop(db, linkCell(link));
  const digest = digestOf(world, link);
  for (let other = digest; other < linksIn(world); other += world.digests) {
    if (has(db, linkCell(other))) return;
  }
  const key = get(db, blobCell(world, digest));
  drop(db, blobCell(world, digest));
  if (key !== NONE) addTombstone(db, key, now(db) + (world.rules.grace ? world.durations.grace : 0));
}

function addTombstone(db: Db, key: number, deleteAfter: number): void {
  const cell = tombstoneCell(db.world, key);
  if (!has(db, cell)) set(db, cell, deleteAfter);
}

/** The intent's time is over: what lies under its key belongs to nobody. */
export function expireIntent(db: Db, key: number): void {
  drop(db, intentCell(db.world, key));
  addTombstone(db, key, now(db));
  if (db.world.rules.expiryEndsSession) set(db, sessionCell(db.world, key), ENDED);
}

/** The policy, for one manifest whose time is over. */
export function collectUntagged(db: Db, at: number): void {
  if (db.world.rules.parentsHold && isListed(db, at)) set(db, manifestCell(db.world, at), HELD);
  else dropManifest(db, at);
}

/** Whether neither a blob, nor an intent, nor a tombstone leads to the object. */
export function isLost(db: Db, key: number): boolean {
  const { world } = db;
  if (!has(db, objectCell(world, key))) return false;
  return !isBlob(db, key) && !has(db, intentCell(world, key)) && !has(db, tombstoneCell(world, key));
}

export function isBlob(db: Db, key: number): boolean {
  for (let digest = 0; digest < db.world.digests; digest++) {
    if (get(db, blobCell(db.world, digest)) === key) return true;
  }
  return false;
}

/** The sweep, for one object that is lost. */
export const adopt = (db: Db, key: number): void => addTombstone(db, key, now(db));

export const deleteObject = (db: Db, key: number): void => drop(db, objectCell(db.world, key));
export const forgetTombstone = (db: Db, key: number): void => drop(db, tombstoneCell(db.world, key));
