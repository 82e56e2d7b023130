import { type Actor, sortTwins } from "./collector-actors.ts";
import { actorCell, type Cells, CLOCK, CRASHES, type Db, get, set } from "./collector-cells.ts";
import { wrongIn } from "./collector-invariants.ts";
import type { World } from "./collector-world.ts";

export interface Bounds {
  /** Time at which the clock stands still. */
  readonly ticksMax: number;
  readonly crashesMax: number;
  readonly statesMax: number;
}

/** A promise that was broken, and the steps that led there. */
export interface Wrong {
  readonly what: string;
  readonly trace: readonly string[];
}

export type Verdict =
  | { readonly kind: "exhausted"; readonly states: number }
  | { readonly kind: "too-large"; readonly states: number }
  | ({ readonly kind: "violation"; readonly states: number } & Wrong);

export interface Search {
  readonly world: World;
  readonly actors: readonly Actor[];
  readonly start: Cells;
  readonly bounds: Bounds;
}

/** Visits every state that any interleaving leads to, nearest first, so that a trace is as short as it can be. */
export function explore({ world, actors, start, bounds }: Search): Verdict {
  const seen = new Set([hashOf(start)]);
  // A state's number, and from which state it was first reached by which step: enough for a trace.
  const parents = [0];
  const labels = [""];
  const queue: Cells[] = [start];
  const wrongs: Wrong[] = [];
  let parent = 0;

  const visit = (label: string, copy: Db, broken: string | null): void => {
    if (wrongs.length > 0) return;
    sortTwins(copy, actors);
    const hash = hashOf(copy.cells);
    const isNew = !seen.has(hash);
    if (broken === null && !isNew) return;
    const what = broken ?? wrongIn(copy, actors);
    if (what !== null) wrongs.push({ what, trace: trace(label) });
    if (!isNew) return;
    seen.add(hash);
    parents.push(parent);
    labels.push(label);
    queue.push(copy.cells);
  };

  for (; parent < queue.length && wrongs.length === 0; parent++) {
    if (queue.length > bounds.statesMax) return { kind: "too-large", states: queue.length };
    const cells = queue[parent] ?? VISITED;
    queue[parent] = VISITED;
    offerSteps({ world, cells }, actors, bounds, visit);
  }
  const [wrong] = wrongs;
  const states = queue.length;
  return wrong === undefined ? { kind: "exhausted", states } : { kind: "violation", states, ...wrong };

  function trace(last: string): string[] {
    const steps = [last];
    for (let at = parent; at !== 0; at = parents[at] ?? 0) steps.unshift(labels[at] ?? "");
    return steps;
  }
}

/** Takes the place of cells that are needed no more: the state is known by its hash. */
const VISITED: Cells = new Uint8Array(0);

type Visit = (label: string, copy: Db, broken: string | null) => void;

function offerSteps(db: Db, actors: readonly Actor[], bounds: Bounds, visit: Visit): void {
  const copy = (): Db => ({ world: db.world, cells: db.cells.slice() });
  for (const [index, actor] of actors.entries()) {
    const at = actorCell(db.world, index);
    actor.offer(db, at, (label, act) => {
      const next = copy();
      const broken = act(next);
      visit(`${actor.name}: ${label}`, next, broken);
    });
  }
  if (get(db, CLOCK) < bounds.ticksMax) {
    const next = copy();
    set(next, CLOCK, get(db, CLOCK) + 1);
    visit("tick", next, null);
  }
  if (get(db, CRASHES) < bounds.crashesMax) {
    const next = copy();
    for (const [index, actor] of actors.entries()) actor.crash(next, actorCell(db.world, index));
    // Where nothing was under way, a crash is no event.
    if (hashOf(next.cells) === hashOf(db.cells)) return;
    set(next, CRASHES, get(db, CRASHES) + 1);
    visit("crash", next, null);
  }
}

/** The whole state as text: two states never share a hash. */
function hashOf(cells: Cells): string {
  return String.fromCharCode(...cells);
}
