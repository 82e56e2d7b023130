import type { World } from "./collector-world.ts";

/**
 * Everything there is, one byte each: the clock, rows of tables, objects, and what each actor knows. Flat, because
 * hundreds of thousands of states are copied and compared.
 */
export type Cells = Uint8Array<ArrayBuffer>;

/** A transaction at work on its own copy, or somebody who only looks. */
export interface Db {
  readonly world: World;
  readonly cells: Cells;
}

/** The row is not there. Later than any time, so that it is never due. */
export const NONE = 255;
/** `review_at` or `loose_since` is NULL: known to be held, and never due either. */
export const HELD = 254;
/** Later than every end that a lease or grace can have, and earlier than HELD. */
export const LONG_AFTER = 200;

/** States of an upload session: under way, acknowledged, and over without that. */
export const OPEN = 0;
export const FINISHED = 1;
export const ENDED = 2;

export const CLOCK = 0;
export const CRASHES = 1;
const LINKS = 2;

export const linksIn = ({ repositories, digests }: World): number => repositories * digests;
export const linkOf = ({ digests }: World, repository: number, digest: number): number =>
  repository * digests + digest;
export const digestOf = ({ digests }: World, link: number): number => link % digests;
export const repositoryOf = ({ digests }: World, link: number): number => Math.floor(link / digests);

const blobsStart = (world: World): number => LINKS + linksIn(world);
const keysStart = (world: World): number => blobsStart(world) + world.digests;
const manifestsStart = (world: World): number => keysStart(world) + 5 * world.keys;
const actorsStart = (world: World): number => manifestsStart(world) + 2 * world.manifests.length;
export const cellsIn = (world: World, actors: number): number => actorsStart(world) + 3 * actors;

/** review_at */
export const linkCell = (link: number): number => LINKS + link;
/** key */
export const blobCell = (world: World, digest: number): number => blobsStart(world) + digest;
/** 1: there */
export const objectCell = (world: World, key: number): number => keysStart(world) + 5 * key;
/** delete_after */
export const tombstoneCell = (world: World, key: number): number => keysStart(world) + 5 * key + 1;
/** expires_at */
export const intentCell = (world: World, key: number): number => keysStart(world) + 5 * key + 2;
/** OPEN, FINISHED, ENDED */
export const sessionCell = (world: World, key: number): number => keysStart(world) + 5 * key + 3;
/** 1: the session's bytes are there and have not become an object yet */
export const stagedCell = (world: World, key: number): number => keysStart(world) + 5 * key + 4;
/** loose_since */
export const manifestCell = (world: World, manifest: number): number => manifestsStart(world) + 2 * manifest;
/** 1: somebody deleted it, which ends what was promised of it */
export const withdrawnCell = (world: World, manifest: number): number => manifestCell(world, manifest) + 1;
/** What an actor is about to do; the two cells behind it: until when a promise to it runs, what it has in hand. */
export const actorCell = (world: World, actor: number): number => actorsStart(world) + 3 * actor;

export function get({ cells }: Db, cell: number): number {
  return cells[cell] ?? NONE;
}

export function set({ cells }: Db, cell: number, value: number): void {
  cells[cell] = value;
}

export function has(db: Db, cell: number): boolean {
  return get(db, cell) !== NONE;
}

export function drop(db: Db, cell: number): void {
  set(db, cell, NONE);
}

export const now = (db: Db): number => get(db, CLOCK);
