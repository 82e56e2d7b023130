import { type Actor, UNTIL } from "./collector-actors.ts";
import {
  actorCell,
  blobCell,
  CLOCK,
  type Db,
  get,
  has,
  intentCell,
  linkCell,
  linkOf,
  linksIn,
  LONG_AFTER,
  manifestCell,
  NONE,
  now,
  objectCell,
  set,
  tombstoneCell,
} from "./collector-cells.ts";
import * as tx from "./collector-transactions.ts";

/** What is wrong in a state, or null. What is wrong with a step, the step says itself. */
export function wrongIn(db: Db, actors: readonly Actor[]): string | null {
  return lostContent(db) ?? lostPromise(db, actors) ?? dangling(db) ?? leftBehind(db);
}

/** I1: whatever manifest is visible, its content is there with bytes. */
function lostContent(db: Db): string | null {
  for (const [at, { name }] of db.world.manifests.entries()) {
    const missing = has(db, manifestCell(db.world, at)) ? missingOf(db, at) : null;
    if (missing !== null) return `${name} is visible without ${missing}`;
  }
  return null;
}

/** D: whoever was told that the content of its next manifest is there, can rely on it. */
function lostPromise(db: Db, actors: readonly Actor[]): string | null {
  for (const [index, actor] of actors.entries()) {
    const at = actorCell(db.world, index);
    const manifest = actor.reliesOn(db, at);
    const until = get(db, at + UNTIL);
    if (manifest === null || until === NONE || until <= now(db)) continue;
    const missing = missingOf(db, manifest);
    if (missing !== null && missing !== WITHDRAWABLE) return `${actor.name} was promised ${missing}`;
  }
  return null;
}

/** Whether a child may be missed depends on who deleted it: the refused PUT knows. */
const WITHDRAWABLE = "its child";

function missingOf(db: Db, at: number): string | null {
  const { world } = db;
  const manifest = world.manifests[at];
  for (const digest of manifest?.blobs ?? []) {
    if (!has(db, linkCell(linkOf(world, manifest?.repository ?? 0, digest)))) return "a link";
    const key = get(db, blobCell(world, digest));
    if (key === NONE) return "a row of its blob";
    if (!has(db, objectCell(world, key))) return "bytes of its blob";
  }
  const isWhole = manifest?.children.every((child) => has(db, manifestCell(world, child)));
  return isWhole === false ? WITHDRAWABLE : null;
}

/** A blob has a row exactly as long as a link. */
function dangling(db: Db): string | null {
  const { world } = db;
  for (let digest = 0; digest < world.digests; digest++) {
    let isLinked = false;
    for (let link = digest; link < linksIn(world); link += world.digests) {
      isLinked ||= has(db, linkCell(link));
    }
    if (isLinked !== has(db, blobCell(world, digest))) return "a blob's row and its links do not go together";
  }
  return null;
}

/** G7: if all actors died now, collectors and time would leave nothing that nobody needs. */
function leftBehind({ world, cells }: Db): string | null {
  const db: Db = { world, cells: cells.slice() };
  set(db, CLOCK, LONG_AFTER);
  for (let key = 0; key < world.keys; key++) if (has(db, intentCell(world, key))) tx.expireIntent(db, key);
  for (let link = 0; link < linksIn(world); link++) {
    if (get(db, linkCell(link)) <= now(db)) tx.review(db, link);
  }
  for (let key = 0; key < world.keys; key++) {
    if (world.rules.sweep && tx.isLost(db, key)) tx.adopt(db, key);
    if (!has(db, tombstoneCell(world, key))) continue;
    tx.deleteObject(db, key);
    tx.forgetTombstone(db, key);
  }
  for (let link = 0; link < linksIn(world); link++) {
    if (has(db, linkCell(link)) && !tx.isNeeded(db, link)) return "a link would stay for ever";
  }
  for (let key = 0; key < world.keys; key++) {
    if (has(db, objectCell(world, key)) && !tx.isBlob(db, key)) return "an object would stay for ever";
  }
  return lostContent(db) === null ? null : "the collectors would lose content";
}
