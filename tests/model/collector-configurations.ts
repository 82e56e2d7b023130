import { type Actor, collector, deleter, puller, reaper } from "./collector-actors.ts";
import {
  actorCell,
  blobCell,
  cellsIn,
  CLOCK,
  CRASHES,
  HELD,
  linkCell,
  linkOf,
  manifestCell,
  NONE,
  objectCell,
  OPEN,
  sessionCell,
  set,
  stagedCell,
} from "./collector-cells.ts";
import { type Call, pusher } from "./collector-pusher.ts";
import type { Search } from "./collector-search.ts";
import type { Durations, Manifest, Rules, World } from "./collector-world.ts";

/** A small world of one digest: who acts in it, and how long. */
export interface Configuration {
  readonly name: string;
  readonly repositories: 1 | 2;
  /** Upload sessions, one for each upload that is not a repetition of another. */
  readonly sessions: number;
  readonly manifests: readonly Manifest[];
  /** Manifests that have been there for long, with their content. */
  readonly before: readonly number[];
  readonly actors: readonly Actor[];
  readonly durations: Partial<Durations>;
  readonly ticksMax: number;
  readonly crashesMax: number;
}

const DURATIONS: Durations = { lease: 2, undo: 1, grace: 2, intent: 1, untagged: null };
const DIGEST = 0;
/** Links of the digest: they have the number of their repository. */
const [R, S] = [0, 1];
/** Sessions, and their keys: key 0 is the digest's from before. */
const [X, Y] = [1, 2];

const image = (name: string, repository = R): Manifest => ({
  name,
  repository,
  blobs: [DIGEST],
  children: [],
  tagged: true,
});
const index = (name: string, child: number): Manifest => ({
  name,
  repository: R,
  blobs: [],
  children: [child],
  tagged: true,
});

const head = (link: number): Call => ({ kind: "head", link });
const headManifest = (manifest: number): Call => ({ kind: "head-manifest", manifest });
const upload = (link: number, session: number): Call => ({ kind: "upload", link, session });
const mount = (from: number, to: number): Call => ({ kind: "mount", from, to });
const put = (manifest: number): Call => ({ kind: "put", manifest });

const headPusher: Configuration = {
  name: "a pusher that asks with HEAD, deletions, 2 collectors, 2 reapers, crash",
  repositories: 1,
  sessions: 1,
  manifests: [image("old"), image("new")],
  before: [0],
  actors: [
    pusher("pusher", [head(R), upload(R, X), put(1)]),
    deleter([0, 1]),
    ...[collector(), collector(), reaper(), reaper()],
  ],
  durations: {},
  ticksMax: 7,
  crashesMax: 1,
};

export const CONFIGURATIONS = {
  headPusher,
  noUndo: { ...headPusher, name: `${headPusher.name}, no undo time`, durations: { undo: 0, lease: 4 } },
  twoPushers: {
    name: "2 pushers that ask with HEAD, deletions",
    repositories: 1,
    sessions: 2,
    manifests: [image("old"), image("new"), image("newer")],
    before: [0],
    actors: [
      pusher("pusher", [head(R), upload(R, X), put(1)]),
      pusher("other pusher", [head(R), upload(R, Y), put(2)]),
      deleter([0, 1]),
      ...[collector(), reaper()],
    ],
    durations: { grace: 1 },
    ticksMax: 6,
    crashesMax: 0,
  },
  twoUploads: {
    name: "2 uploads of one digest, deletion, 2 reapers, crash",
    repositories: 1,
    sessions: 2,
    manifests: [image("one"), image("two")],
    before: [],
    actors: [
      pusher("x", [upload(R, X), put(0)]),
      pusher("y", [upload(R, Y), put(1)]),
      deleter([0]),
      ...[collector(), reaper(), reaper()],
    ],
    durations: { undo: 0, grace: 1 },
    ticksMax: 5,
    crashesMax: 1,
  },
  repetition: {
    name: "an upload whose last request is repeated, 2 reapers, crash",
    repositories: 1,
    sessions: 1,
    manifests: [image("one")],
    before: [],
    actors: [
      pusher("x", [upload(R, X), put(0)]),
      pusher("x again", [upload(R, X), put(0)]),
      deleter([0]),
      ...[collector(), reaper(), reaper()],
    ],
    durations: { undo: 0, grace: 1, intent: 2 },
    ticksMax: 6,
    crashesMax: 1,
  },
  mount: {
    name: "a mount, deletions in both repositories, an upload to the source",
    repositories: 2,
    sessions: 2,
    manifests: [image("old"), image("mounted", S), image("new")],
    before: [0],
    actors: [
      pusher("mounter", [mount(R, S), upload(S, X), put(1)]),
      pusher("uploader", [upload(R, Y), put(2)]),
      deleter([0, 1]),
      ...[collector(), reaper()],
    ],
    durations: { grace: 1 },
    ticksMax: 6,
    crashesMax: 0,
  },
  pull: {
    name: "a running GET, deletion, and a new upload of the digest",
    repositories: 1,
    sessions: 1,
    manifests: [image("old"), image("new")],
    before: [0],
    actors: [
      puller(R),
      pusher("pusher", [upload(R, X), put(1)]),
      deleter([0, 1]),
      ...[collector(), reaper(), reaper()],
    ],
    durations: {},
    ticksMax: 7,
    crashesMax: 0,
  },
  index: {
    name: "an index and its untagged child, the policy for untagged manifests",
    repositories: 1,
    sessions: 1,
    manifests: [{ ...image("child"), tagged: false }, index("index", 0), index("other index", 0)],
    before: [],
    actors: [
      pusher("pusher", [head(R), upload(R, X), put(0), put(1)]),
      pusher("other pusher", [headManifest(0), put(2)]),
      deleter([0, 1, 2]),
      ...[collector(), reaper()],
    ],
    durations: { untagged: 2 },
    ticksMax: 9,
    crashesMax: 0,
  },
} satisfies Readonly<Record<string, Configuration>>;

/** The configuration as a search from its beginning. */
export function searchOf(configuration: Configuration, rules: Rules, statesMax: number): Search {
  const { repositories, sessions, manifests, actors, before, ticksMax, crashesMax } = configuration;
  const durations = { ...DURATIONS, ...configuration.durations };
  const world: World = { rules, durations, repositories, digests: 1, keys: 1 + sessions, manifests };
  const db = { world, cells: new Uint8Array(cellsIn(world, actors.length)).fill(NONE) };
  set(db, CLOCK, 0);
  set(db, CRASHES, 0);
  for (let session = 1; session <= sessions; session++) {
    set(db, sessionCell(world, session), OPEN);
    set(db, stagedCell(world, session), 1);
  }
  for (const at of before) {
    set(db, manifestCell(world, at), HELD);
    set(db, linkCell(linkOf(world, manifests[at]?.repository ?? R, DIGEST)), HELD);
    set(db, blobCell(world, DIGEST), 0);
    set(db, objectCell(world, 0), 1);
  }
  // Actors begin with their first step, and nothing promised or in hand.
  for (const at of actors.keys()) set(db, actorCell(world, at), 0);
  return { world, actors, start: db.cells, bounds: { ticksMax, crashesMax, statesMax } };
}
