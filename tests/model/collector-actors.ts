import {
  actorCell,
  blobCell,
  type Db,
  digestOf,
  drop,
  get,
  has,
  intentCell,
  linkCell,
  linksIn,
  manifestCell,
  NONE,
  now,
  objectCell,
  set,
  tombstoneCell,
} from "./collector-cells.ts";
import * as tx from "./collector-transactions.ts";
import type { World } from "./collector-world.ts";

/** A step that may be taken: `act` works on a copy of the state and says which promise it found broken. */
export type Offer = (label: string, act: (db: Db) => string | null) => void;

/** Somebody who acts. `at` is its first cell: see actorCell. */
export interface Actor {
  readonly name: string;
  /** Two of its kind, side by side, do the same in the same place: which is which makes no other state. */
  readonly isTwin: boolean;
  readonly offer: (db: Db, at: number, offer: Offer) => void;
  /** What a crash of the server does to it. */
  readonly crash: (db: Db, at: number) => void;
  /** The manifest that it is about to put, when it has asked for all of its content. */
  readonly reliesOn: (db: Db, at: number) => number | null;
}

/** What it is about to do, until when a promise to it runs, what it has in hand. */
export const STAGE = 0;
export const UNTIL = 1;
export const HAND = 2;

const reliesOnNothing = (): null => null;
const survives = (): void => undefined;

function go(db: Db, at: number, stage: number): null {
  set(db, at + STAGE, stage);
  return null;
}

/** One after the other deletes manifests, in any order. */
export function deleter(manifests: readonly number[]): Actor {
  return {
    name: "deleter",
    isTwin: false,
    offer: (db, at, offer) => {
      if (get(db, at) >= manifests.length) return;
      for (const manifest of manifests) {
        if (!has(db, manifestCell(db.world, manifest)) || tx.isListed(db, manifest)) continue;
        offer(`DELETE ${nameOf(db.world, manifest)}`, (copy) => {
          tx.deleteManifest(copy, manifest);
          return go(copy, at, get(copy, at) + 1);
        });
      }
    },
    crash: survives,
    reliesOn: reliesOnNothing,
  };
}

export const nameOf = ({ manifests }: World, manifest: number): string => manifests[manifest]?.name ?? "?";

/** Finds the key of a blob, and reads the object at some later time. */
export function puller(link: number): Actor {
  return {
    name: "puller",
    isTwin: false,
    offer: (db, at, offer) => {
      if (get(db, at) === 0 && tx.isReadable(db, link)) {
        offer("GET finds its key", (copy) => {
          set(copy, at + HAND, get(copy, blobCell(copy.world, digestOf(copy.world, link))));
          set(copy, at + UNTIL, now(copy) + copy.world.durations.grace);
          return go(copy, at, 1);
        });
      }
      if (get(db, at) === 1) {
        offer("GET reads", (copy) => {
          const isLate = now(copy) >= get(copy, at + UNTIL);
          const isThere = has(copy, objectCell(copy.world, get(copy, at + HAND)));
          drop(copy, at + HAND);
          drop(copy, at + UNTIL);
          go(copy, at, 2);
          return isLate || isThere ? null : "a GET within its grace found no object";
        });
      }
    },
    crash: (db, at) => {
      if (get(db, at) === 1) rest(db, at);
    },
    reliesOn: reliesOnNothing,
  };
}

function rest(db: Db, at: number): null {
  drop(db, at + HAND);
  drop(db, at + UNTIL);
  return go(db, at, 0);
}

/** A collector. Only with a part of the protocol taken out it has anything in hand between two steps. */
export function collector(): Actor {
  return {
    name: "collector",
    isTwin: true,
    offer: (db, at, offer) => {
      if (get(db, at) === 1) {
        offer("unlinks what it selected", (copy) => {
          const link = get(copy, at + HAND);
          if (has(copy, linkCell(link))) tx.unlink(copy, link);
          return rest(copy, at);
        });
      }
      if (get(db, at) === 2) {
        offer("reviews what it deleted", (copy) => {
          const link = get(copy, at + HAND);
          if (has(copy, linkCell(link))) tx.review(copy, link);
          return rest(copy, at);
        });
      }
      if (get(db, at) !== 0) return;
      offerReviews(db, at, offer);
      offerKeys(db, offer);
      offerUntagged(db, offer);
    },
    crash: rest,
    reliesOn: reliesOnNothing,
  };
}

function offerReviews(db: Db, at: number, offer: Offer): void {
  const { rules } = db.world;
  for (let link = 0; link < linksIn(db.world); link++) {
    if (get(db, linkCell(link)) > now(db)) continue;
    const isGarbage = !tx.isNeeded(db, link);
    const take = (stage: number) => (copy: Db) => {
      set(copy, at + HAND, link);
      return go(copy, at, stage);
    };
    if (isGarbage && !rules.recheck) offer("selects a due link", take(1));
    else if (isGarbage && !rules.metadataFirst) {
      offer("deletes the object of a due link", (copy) => {
        const key = get(copy, blobCell(copy.world, digestOf(copy.world, link)));
        if (key !== NONE) tx.deleteObject(copy, key);
        return take(2)(copy);
      });
    } else {
      offer(isGarbage ? "drops a due link" : "finds a due link held", (copy) => {
        tx.review(copy, link);
        return null;
      });
    }
  }
}

function offerKeys(db: Db, offer: Offer): void {
  for (let key = 0; key < db.world.keys; key++) {
    if (get(db, intentCell(db.world, key)) <= now(db)) {
      offer("expires an intent", (copy) => {
        tx.expireIntent(copy, key);
        return null;
      });
    }
    if (db.world.rules.sweep && tx.isLost(db, key)) {
      offer("adopts a lost object", (copy) => {
        tx.adopt(copy, key);
        return null;
      });
    }
  }
}

function offerUntagged(db: Db, offer: Offer): void {
  const delay = db.world.durations.untagged;
  if (delay === null) return;
  for (const [manifest, { name }] of db.world.manifests.entries()) {
    if (get(db, manifestCell(db.world, manifest)) + delay > now(db)) continue;
    offer(`reviews untagged ${name}`, (copy) => {
      tx.collectUntagged(copy, manifest);
      return null;
    });
  }
}

/** Deletes objects in three steps; another reaper, or a crash, may come between any two. */
export function reaper(): Actor {
  return {
    name: "reaper",
    isTwin: true,
    offer: (db, at, offer) => {
      if (get(db, at) === 1) {
        offer("deletes the object", (copy) => {
          tx.deleteObject(copy, get(copy, at + HAND));
          return go(copy, at, 2);
        });
      }
      if (get(db, at) === 2) {
        offer("forgets the tombstone", (copy) => {
          tx.forgetTombstone(copy, get(copy, at + HAND));
          return rest(copy, at);
        });
      }
      for (let key = 0; get(db, at) === 0 && key < db.world.keys; key++) {
        if (get(db, tombstoneCell(db.world, key)) > now(db)) continue;
        offer("takes a due tombstone", (copy) => {
          set(copy, at + HAND, key);
          return go(copy, at, 1);
        });
      }
    },
    crash: rest,
    reliesOn: reliesOnNothing,
  };
}

/** Puts twins into one order, so that a state and its mirror image count once. */
export function sortTwins(db: Db, actors: readonly Actor[]): void {
  for (const [index, actor] of actors.entries()) {
    if (!actor.isTwin || actors[index + 1]?.name !== actor.name) continue;
    const [left, right] = [actorCell(db.world, index), actorCell(db.world, index + 1)];
    const rank = (at: number) => get(db, at + STAGE) * NONE + get(db, at + HAND);
    if (rank(left) <= rank(right)) continue;
    for (const cell of [STAGE, HAND]) {
      const value = get(db, left + cell);
      set(db, left + cell, get(db, right + cell));
      set(db, right + cell, value);
    }
  }
}
