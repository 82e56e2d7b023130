import { type Actor, CRASHES_IN, IDLE, type Step } from "./protocol-actors.ts";
import { digestOfLink, EMPTY, isNeeded, linksOf, nameOf, type State, type World } from "./protocol-state.ts";
import * as tx from "./protocol-transactions.ts";

/** A world with more states than this is too large to be walked in a test. */
const STATES_MAX = 3_000_000;

export interface Finding {
  readonly what: string;
  /** The steps that lead to it, as short as possible. */
  readonly steps: readonly string[];
}

export interface Walk {
  readonly states: number;
  readonly finding: Finding | null;
}

/** A state, and how it was first reached. */
interface Visit {
  readonly state: State;
  readonly from: Visit | null;
  readonly label: string;
}

/** Every state that the actors can bring about from `start`, breadth first, until something is wrong. */
export function walk(world: World, actors: readonly Actor[], start: Partial<State> = {}): Walk {
  const initial: State = { ...EMPTY, ...start, actors: actors.map(() => ({ ...IDLE })) };
  const seen = new Set([nameOf(initial)]);
  let layer: Visit[] = [{ state: initial, from: null, label: "" }];
  while (layer.length > 0) {
    const next: Visit[] = [];
    for (const visit of layer) {
      for (const { label, state, broken } of stepsFrom(world, actors, visit.state)) {
        const reached = { state, from: visit, label };
        const what = broken ?? wrongIn(world, state);
        if (what !== null) return { states: seen.size, finding: { what, steps: pathOf(reached) } };
        const name = nameOf(state);
        if (seen.has(name)) continue;
        if (seen.size >= STATES_MAX)
          throw new Error(`more than ${STATES_MAX} states: make the world smaller`);
        seen.add(name);
        next.push(reached);
      }
    }
    layer = next;
  }
  return { states: seen.size, finding: null };
}

function stepsFrom(world: World, actors: readonly Actor[], state: State): readonly Step[] {
  const steps = actors.flatMap((actor, at) => {
    const own = state.actors[at];
    if (own === undefined) return [];
    return actor.steps(world, state, own).map((step) => ({ ...step, label: `${actor.name}: ${step.label}` }));
  });
  if (state.time < world.ticksMax) {
    steps.push({ label: "time passes", state: { ...state, time: state.time + 1 }, broken: null });
  }
  if (state.crashes < world.crashesMax && state.actors.some(({ at }) => CRASHES_IN.includes(at))) {
    steps.push({ label: "the server crashes", state: crashed(actors, state), broken: null });
  }
  return steps;
}

/** What was under way in the server is lost; a collector and a reaper start anew, a request does not. */
function crashed(actors: readonly Actor[], state: State): State {
  const after = state.actors.map((own, at) => {
    if (!CRASHES_IN.includes(own.at)) return own;
    const restarts = ["collector", "reaper"].includes(actors[at]?.name ?? "");
    return restarts ? { ...IDLE } : { ...IDLE, at: "end" };
  });
  return { ...state, crashes: state.crashes + 1, actors: after };
}

/** What must never be: a visible manifest without its content; or, once all is over, something left behind. */
function wrongIn(world: World, state: State): string | null {
  for (const name of Object.keys(state.manifests)) {
    for (const link of linksOf(world, name)) {
      const key = state.blobs[digestOfLink(link)];
      if (state.links[link] === undefined) return `${name} is visible without the link of its blob`;
      if (key === undefined) return `${name} is visible without its blob`;
      if (!state.objects[key]) return `${name} is visible without the bytes of its blob`;
    }
    const children = world.manifests[name]?.children ?? [];
    if (!children.every((child) => state.manifests[child] !== undefined))
      return `${name} is visible without its child`;
  }
  const isOver =
    state.time === world.ticksMax && state.actors.every(({ at }) => at === "start" || at === "end");
  return isOver ? leftBehind(world, state) : null;
}

/** What the collectors do not find, however long they run from here. */
function leftBehind(world: World, from: State): string | null {
  let state: State = { ...from, time: from.time + 1_000 };
  for (let record = tx.expireRecord(world, state); record !== null; record = tx.expireRecord(world, state))
    state = record;
  for (let intent = tx.expireIntent(state); intent !== null; intent = tx.expireIntent(state)) state = intent;
  for (const name of tx.dueLinks(state)) state = tx.review(world, state, name);
  if (world.rules.sweep) for (const key of tx.orphans(state)) state = tx.sweep(state, key);
  state = { ...state, time: state.time + 1_000 };
  for (const key of tx.dueKeys(state)) state = tx.deleteObject(state, key);
  const keys = new Set(Object.values(state.blobs));
  const orphan = Object.keys(state.objects).find((key) => !keys.has(key));
  if (orphan !== undefined) return `object ${orphan} is left behind`;
  const useless = Object.keys(state.links).find((link) => !isNeeded(world, state, link));
  return useless === undefined ? null : `link ${useless} is left behind`;
}

function pathOf(visit: Visit): readonly string[] {
  const steps: string[] = [];
  for (let at: Visit | null = visit; at !== null && at.label !== ""; at = at.from) steps.unshift(at.label);
  return steps;
}
