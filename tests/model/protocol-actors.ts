import {
  type ActorState,
  digestOfLink,
  GRACE,
  INTENT,
  isHeld,
  LEASE,
  linkOf,
  type State,
  without,
  type World,
} from "./protocol-state.ts";
import * as tx from "./protocol-transactions.ts";

/** A step that may be taken. */
export interface Step {
  readonly label: string;
  readonly state: State;
  /** What was promised and not kept by this step, or null. */
  readonly broken: string | null;
}

/** Somebody who acts: the steps that it may take in a state. */
export interface Actor {
  readonly name: string;
  steps(world: World, state: State, own: ActorState): readonly Step[];
}

export const IDLE: ActorState = { at: "start", until: 0, hand: "" };

/** Actor states that a crash of the server ends: requests, and the reaper, in their middle. */
export const CRASHES_IN: readonly string[] = [
  "intended",
  "renamed",
  "deleting",
  "deleted",
  "selected",
  "bytes-gone",
];

function moved(state: State, own: ActorState, next: Partial<ActorState>): State {
  const actors = state.actors.map((actor) => (actor === own ? { ...own, ...next } : actor));
  return { ...state, actors };
}

function step(label: string, state: State, broken: string | null = null): Step {
  return { label, state, broken };
}

/** PUT of the manifest by somebody who was promised its content until `own.until`. */
function putSteps(world: World, state: State, own: ActorState, manifest: string): readonly Step[] {
  const stored = tx.putManifest(world, state, manifest);
  const next = { at: "end", until: 0, hand: "" };
  if (stored !== null) return [step(`PUT ${manifest} 201`, moved(stored, own, next))];
  const broken = state.time < own.until ? `PUT ${manifest} was refused within the lease` : null;
  return [step(`PUT ${manifest} refused`, moved(state, own, next), broken)];
}

/** Sees with HEAD that the blob is there and pushes the manifest at some later time. */
export function headPusher(repository: string, digest: string, manifest: string): Actor {
  return {
    name: `pusher of ${manifest}`,
    steps(world, state, own) {
      if (own.at === "told") return putSteps(world, state, own, manifest);
      if (own.at !== "start") return [];
      const answer = tx.head(world, state, linkOf(repository, digest));
      if (answer === null) return [];
      return [step("HEAD 200", moved(answer.state, own, { at: "told", until: answer.until }))];
    },
  };
}

/** Sees with HEAD that a child manifest is there, and pushes the index. */
export function indexPusher(child: string, index: string): Actor {
  return {
    name: `pusher of ${index}`,
    steps(world, state, own) {
      if (own.at === "told") return putSteps(world, state, own, index);
      const since = state.manifests[child];
      if (own.at !== "start" || since === undefined) return [];
      const isFresh = state.time - since <= LEASE / 2;
      const { leaseOnManifestHead } = world.rules;
      const renewed = leaseOnManifestHead && !isFresh;
      const manifests = renewed ? { ...state.manifests, [child]: state.time } : state.manifests;
      const until = leaseOnManifestHead && isFresh ? since + LEASE : state.time + LEASE;
      return [step(`HEAD ${child} 200`, moved({ ...state, manifests }, own, { at: "told", until }))];
    },
  };
}

export interface Mount {
  readonly digest: string;
  readonly from: string;
  readonly to: string;
}

export function mounter({ digest, from, to }: Mount, manifest: string): Actor {
  return {
    name: `mounter for ${manifest}`,
    steps(world, state, own) {
      if (own.at === "told") return putSteps(world, state, own, manifest);
      if (own.at !== "start" || state.links[linkOf(from, digest)] === undefined) return [];
      const mounted = tx.link(state, linkOf(to, digest), world.rules.leaseOnMount);
      return [step("mount 201", moved(mounted, own, { at: "told", until: state.time + LEASE }))];
    },
  };
}

/** Uploads a blob and pushes the manifest. Each uploader uploads once, so its name makes its key. */
export function uploader(
  name: string,
  target: { repository: string; digest: string },
  manifest: string,
): Actor {
  const { repository, digest } = target;
  const link = linkOf(repository, digest);
  return {
    name: `uploader ${name}`,
    steps(world, state, own) {
      const key = world.rules.generationKeys ? `${digest}.${name}` : digest;
      const told = { at: "told", until: state.time + LEASE, hand: "" };
      switch (own.at) {
        case "start": {
          if (state.blobs[digest] !== undefined) {
            const linked = tx.link(state, link, world.rules.leaseOnUpload);
            return [step("upload 201 (exists)", moved(linked, own, told))];
          }
          const isDoomed = world.rules.generationKeys && state.tombstones[key] !== undefined;
          if (isDoomed) return [step("upload refused", moved(state, own, { at: "end" }))];
          const intents = { ...state.intents, [key]: state.time + INTENT };
          return [step("intent", moved({ ...state, intents }, own, { at: "intended", hand: key }))];
        }
        case "intended": {
          const objects = { ...state.objects, [key]: true as const };
          return [step("bytes under their key", moved({ ...state, objects }, own, { at: "renamed" }))];
        }
        case "renamed":
          return finish(world, state, own, { key, link, digest, told });
        case "told":
          return putSteps(world, state, own, manifest);
        default:
          return [];
      }
    },
  };
}

interface Finish {
  readonly key: string;
  readonly link: string;
  readonly digest: string;
  readonly told: Partial<ActorState>;
}

function finish(
  world: World,
  state: State,
  own: ActorState,
  { key, link, digest, told }: Finish,
): readonly Step[] {
  const isIntended = state.intents[key] !== undefined;
  const intents = without(state.intents, key);
  if (world.rules.intentCheck && !isIntended) {
    return [step("upload gone", moved(state, own, { at: "end", hand: "" }))];
  }
  const present = state.blobs[digest];
  const isOwn = present === undefined || present === key;
  const blobs = isOwn ? { ...state.blobs, [digest]: key } : state.blobs;
  const tombstones = isOwn ? state.tombstones : { ...state.tombstones, [key]: state.time };
  const linked = tx.link({ ...state, intents, blobs, tombstones }, link, world.rules.leaseOnUpload);
  return [step("upload 201", moved(linked, own, told))];
}

export function deleter(manifest: string): Actor {
  return {
    name: `deleter of ${manifest}`,
    steps(world, state, own) {
      const deleted = own.at === "start" ? tx.deleteManifest(world, state, manifest) : null;
      return deleted === null ? [] : [step(`DELETE ${manifest}`, moved(deleted, own, { at: "end" }))];
    },
  };
}

/** Changes its mind while it may; an undo within the time must work, because nobody deletes blobs here. */
export function undoer(manifest: string): Actor {
  return {
    name: `undoer of ${manifest}`,
    steps(world, state, own) {
      const record = state.records.find((other) => other.manifest === manifest && other.until > state.time);
      if (own.at !== "start" || record === undefined) return [];
      const restored = tx.undo(world, state, manifest);
      const done = moved(restored ?? state, own, { at: "end" });
      return [
        step(`undo of ${manifest}`, done, restored === null ? `${manifest} could not be brought back` : null),
      ];
    },
  };
}

/** Looks up a blob, and reads its bytes before the grace after that is over. */
export function getter(repository: string, digest: string): Actor {
  return {
    name: "puller",
    steps(_, state, own) {
      if (own.at === "reading") {
        const isLate = state.time >= own.until;
        const broken = isLate || state.objects[own.hand] ? null : "a running GET found no bytes";
        return [step("bytes read", moved(state, own, { at: "end", until: 0, hand: "" }), broken)];
      }
      const key = state.links[linkOf(repository, digest)] === undefined ? undefined : state.blobs[digest];
      if (own.at !== "start" || key === undefined) return [];
      return [
        step(
          "GET found the blob",
          moved(state, own, { at: "reading", until: state.time + GRACE, hand: key }),
        ),
      ];
    },
  };
}

/** One server's collector. Every review is a transaction of its own here: a batch is some of them in a row. */
export function collector(): Actor {
  return { name: "collector", steps: collectorSteps };
}

function collectorSteps(world: World, state: State, own: ActorState): readonly Step[] {
  if (own.at === "selected") {
    return [step("unlinks what it selected", moved(tx.unlink(world, state, own.hand), own, IDLE))];
  }
  if (own.at === "bytes-gone") {
    return [step("reviews what it deleted", moved(tx.review(world, state, own.hand), own, IDLE))];
  }
  const steps: Step[] = [];
  for (const name of tx.dueLinks(state)) {
    const label = `reviews ${name}`;
    const key = state.blobs[digestOfLink(name)];
    const isGarbage = !isHeld(world, state, name);
    if (!world.rules.recheck && isGarbage) {
      steps.push(step(`selects ${name}`, moved(state, own, { at: "selected", hand: name })));
    } else if (!world.rules.metadataFirst && isGarbage && key !== undefined) {
      const gone = tx.deleteObject(state, key);
      steps.push(step(`deletes bytes of ${name}`, moved(gone, own, { at: "bytes-gone", hand: name })));
    } else {
      steps.push(step(label, tx.review(world, state, name)));
    }
  }
  const intents = tx.expireIntent(state);
  if (intents !== null) steps.push(step("expires an intent", intents));
  const records = tx.expireRecord(world, state);
  if (records !== null) steps.push(step("expires a record", records));
  if (world.rules.sweep) {
    for (const key of tx.orphans(state)) steps.push(step(`sweeps ${key}`, tx.sweep(state, key)));
  }
  for (const name of Object.keys(state.manifests)) {
    const collected = tx.collectUntagged(world, state, name);
    if (collected !== null) steps.push(step(`deletes untagged ${name}`, collected));
  }
  return steps;
}

/** Deletes objects in three steps, so that a crash or another reaper can come between any two. */
export function reaper(): Actor {
  return {
    name: "reaper",
    steps(_, state, own) {
      switch (own.at) {
        case "deleting":
          return [
            step(`deletes ${own.hand}`, moved(tx.deleteObject(state, own.hand), own, { at: "deleted" })),
          ];
        case "deleted":
          return [step(`forgets ${own.hand}`, moved(tx.forgetTombstone(state, own.hand), own, IDLE))];
        default:
          return tx
            .dueKeys(state)
            .map((key) => step(`takes ${key}`, moved(state, own, { at: "deleting", hand: key })));
      }
    },
  };
}
