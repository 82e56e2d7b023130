import { expect, test } from "bun:test";
import {
  type Actor,
  collector,
  deleter,
  getter,
  headPusher,
  indexPusher,
  mounter,
  reaper,
  undoer,
  uploader,
} from "./protocol-actors.ts";
import { type Walk, walk } from "./protocol-check.ts";
import { DESIGN, type ManifestSpec, type Rules, type State } from "./protocol-state.ts";

/** A small world: who acts in it, and what is there before. */
interface Scene {
  readonly name: string;
  readonly manifests: Readonly<Record<string, ManifestSpec>>;
  readonly start: Partial<State>;
  readonly actors: () => readonly Actor[];
  readonly ticksMax: number;
}

const ONE = { repository: "r", blobs: ["b"], children: [], tagged: true };
const OLD_AND_NEW = { old: ONE, new: ONE };

/** An image "old" that has been there for long. */
const OLD_IMAGE: Partial<State> = {
  links: { "r/b": null },
  blobs: { b: "b.before" },
  objects: { "b.before": true },
  manifests: { old: 0 },
};

const TARGET = { repository: "r", digest: "b" };

const HEAD = "HEAD, deletion and undo, two collectors, two reapers";
const UPLOADS = "two uploads of one digest, deletion, crash";
const GET = "a running GET, deletion, and a new upload of the digest";
const MOUNT = "a mount, and deletion in the source";
const INDEX = "an index, its untagged child, the policy for untagged manifests";

const SCENES: readonly Scene[] = [
  {
    name: HEAD,
    manifests: OLD_AND_NEW,
    start: OLD_IMAGE,
    actors: () => [
      headPusher("r", "b", "new"),
      deleter("old"),
      undoer("old"),
      deleter("new"),
      ...[collector(), collector(), reaper(), reaper()],
    ],
    ticksMax: 6,
  },
  {
    name: UPLOADS,
    manifests: { one: ONE, two: ONE },
    start: {},
    actors: () => [
      uploader("x", TARGET, "one"),
      uploader("y", TARGET, "two"),
      deleter("one"),
      ...[collector(), reaper(), reaper()],
    ],
    ticksMax: 3,
  },
  {
    name: GET,
    manifests: OLD_AND_NEW,
    start: OLD_IMAGE,
    actors: () => [
      getter("r", "b"),
      deleter("old"),
      uploader("x", TARGET, "new"),
      ...[collector(), reaper(), reaper()],
    ],
    ticksMax: 4,
  },
  {
    name: MOUNT,
    manifests: { old: ONE, new: { ...ONE, repository: "s" } },
    start: OLD_IMAGE,
    actors: () => [
      mounter({ digest: "b", from: "r", to: "s" }, "new"),
      deleter("old"),
      deleter("new"),
      ...[collector(), collector(), reaper()],
    ],
    ticksMax: 6,
  },
  {
    name: INDEX,
    manifests: {
      child: { ...ONE, tagged: false },
      index: { repository: "r", blobs: [], children: ["child"], tagged: true },
    },
    start: { ...OLD_IMAGE, manifests: { child: 0 } },
    actors: () => [
      indexPusher("child", "index"),
      deleter("index"),
      headPusher("r", "b", "child"),
      ...[collector(), reaper()],
    ],
    ticksMax: 6,
  },
];

/** Each part of the protocol, taken out. */
const ABLATIONS: readonly (readonly [string, Partial<Rules>, Scene["name"]])[] = [
  ["no lease on HEAD", { leaseOnHead: false }, HEAD],
  ["no lease on upload", { leaseOnUpload: false }, UPLOADS],
  ["no lease on mount", { leaseOnMount: false }, MOUNT],
  ["key = digest", { generationKeys: false }, UPLOADS],
  ["no re-check: select first, delete later", { recheck: false }, HEAD],
  ["bytes before metadata", { metadataFirst: false }, HEAD],
  ["no grace for a running GET", { grace: false }, GET],
  ["finish without looking at the intent", { intentCheck: false }, UPLOADS],
  ["nothing looks at what a deletion let go of", { reviewReleased: false }, HEAD],
  ["records of deletions do not hold their blobs", { recordsHold: false }, HEAD],
  ["untagged manifests go although an index lists them", { parentsHold: false }, INDEX],
  ["no lease on HEAD of a manifest", { leaseOnManifestHead: false }, INDEX],
  ["nobody compares the objects with the metadata", { sweep: false }, UPLOADS],
];

function walkScene(scene: Scene, rules: Partial<Rules>): Walk {
  const { manifests, ticksMax, start } = scene;
  return walk({ rules: { ...DESIGN, ...rules }, manifests, ticksMax, crashesMax: 1 }, scene.actors(), start);
}

for (const scene of SCENES) {
  test(`the protocol keeps its promises in every interleaving: ${scene.name}`, () => {
    const { states, finding } = walkScene(scene, {});
    process.stderr.write(
      `>>> model: ${scene.name}: ${states} states, ${finding === null ? 0 : 1} violations\n`,
    );
    expect(finding).toBeNull();
    expect(states).toBeGreaterThan(1_000);
  });
}

for (const [name, rules, where] of ABLATIONS) {
  test(`the protocol needs it: "${name}" breaks a promise`, () => {
    const scene = SCENES.find((candidate) => candidate.name === where);
    const finding = scene === undefined ? null : walkScene(scene, rules).finding;
    const trace = finding === null ? "nothing" : `${finding.what}, after ${finding.steps.join("; ")}`;
    process.stderr.write(`>>> model: without it, "${name}": ${trace}\n`);
    expect(finding).not.toBeNull();
  });
}
