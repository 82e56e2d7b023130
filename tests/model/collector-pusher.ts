import { type Actor, nameOf, type Offer, STAGE, UNTIL } from "./collector-actors.ts";
import { type Db, drop, get, has, NONE, now, set, withdrawnCell } from "./collector-cells.ts";
import * as tx from "./collector-transactions.ts";

/** What a client does, one call after the other; then it puts what it relies on. */
export type Call =
  /** A yes, here or to a mount, makes the upload that follows needless. */
  | { readonly kind: "head"; readonly link: number }
  | { readonly kind: "mount"; readonly from: number; readonly to: number }
  | { readonly kind: "upload"; readonly link: number; readonly session: number }
  | { readonly kind: "head-manifest"; readonly manifest: number }
  | { readonly kind: "put"; readonly manifest: number };

// A stage is the number of the call and how far it has come.
const PARTS = 4;
const [START, INTENDED, NAMED] = [0, 1, 2];

const start = (call: number): number => call * PARTS + START;

/** Makes the calls. It may stop anywhere: nothing obliges an actor to go on. */
export function pusher(name: string, calls: readonly Call[]): Actor {
  const callOf = (db: Db, at: number) => Math.floor(get(db, at + STAGE) / PARTS);
  return {
    name,
    isTwin: false,
    offer: (db, at, offer) => {
      const position = callOf(db, at);
      const call = calls[position];
      if (call !== undefined) offerCall(db, offer, { call, position, at, end: calls.length });
    },
    // The client gets no answer to the request and gives up; what it was promised before still holds.
    crash: (db, at) => {
      if (get(db, at + STAGE) % PARTS !== START) end(db, at, calls.length);
    },
    reliesOn: (db, at) => {
      const call = calls[callOf(db, at)];
      return call?.kind === "put" ? call.manifest : null;
    },
  };
}

interface Progress {
  readonly call: Call;
  readonly position: number;
  readonly at: number;
  readonly end: number;
}

function end(db: Db, at: number, calls: number): null {
  set(db, at + STAGE, start(calls));
  drop(db, at + UNTIL);
  return null;
}

/** A yes: the next call, and the promise of all so far is the one that ends first. */
function believe(db: Db, at: number, { until, next }: { until: number; next: number }): null {
  set(db, at + STAGE, start(next));
  set(db, at + UNTIL, Math.min(get(db, at + UNTIL), until));
  return null;
}

function offerCall(db: Db, offer: Offer, progress: Progress): void {
  const { call, position, at } = progress;
  const ask = (label: string, question: (copy: Db) => number | null, next: number) =>
    offer(label, (copy) => {
      const until = question(copy);
      if (until !== null) return believe(copy, at, { until, next });
      set(copy, at + STAGE, start(position + 1));
      return null;
    });
  switch (call.kind) {
    case "head":
      ask("HEAD", (copy) => tx.head(copy, call.link), position + 2);
      break;
    case "mount":
      ask("mount", (copy) => tx.mount(copy, call.from, call.to), position + 2);
      break;
    case "head-manifest":
      ask("HEAD manifest", (copy) => tx.headManifest(copy, call.manifest), position + 1);
      break;
    case "upload":
      offerUpload(db, offer, { ...progress, call });
      break;
    case "put":
      offerPut(db, offer, { ...progress, call });
      break;
    default:
      call satisfies never;
  }
}

type At<Kind extends Call["kind"]> = Progress & { readonly call: Extract<Call, { readonly kind: Kind }> };

function offerUpload(db: Db, offer: Offer, { call, position, at, end: calls }: At<"upload">): void {
  const answer = (copy: Db, until: number | "gone") =>
    until === "gone" ? end(copy, at, calls) : believe(copy, at, { until, next: position + 1 });
  switch (get(db, at + STAGE) % PARTS) {
    case START:
      offer("upload, intent", (copy) => {
        const answered = tx.prepareFinish(copy, call);
        if (answered !== "proceed") return answer(copy, answered);
        set(copy, at + STAGE, start(position) + INTENDED);
        return null;
      });
      break;
    case INTENDED:
      offer("upload, object gets its name", (copy) => {
        set(copy, at + STAGE, start(position) + NAMED);
        return tx.moveBytes(copy, call) ? null : end(copy, at, calls);
      });
      break;
    default:
      offer("upload, finish", (copy) => answer(copy, tx.finish(copy, call)));
  }
}

function offerPut(db: Db, offer: Offer, { call, position, at, end: calls }: At<"put">): void {
  offer(`PUT ${nameOf(db.world, call.manifest)}`, (copy) => {
    const until = get(copy, at + UNTIL);
    if (!tx.putManifest(copy, call.manifest)) {
      end(copy, at, calls);
      const isPromised = until !== NONE && now(copy) < until;
      return isPromised && !isWithdrawn(copy, call.manifest)
        ? `PUT ${nameOf(copy.world, call.manifest)} was refused within its promise`
        : null;
    }
    set(copy, at + STAGE, start(position + 1));
    // By digest, the manifest itself is what the next one relies on.
    const { untagged } = copy.world.durations;
    set(copy, at + UNTIL, untagged === null || position + 1 >= calls ? NONE : now(copy) + untagged);
    return null;
  });
}

/** Who deletes a child manifest means it, whatever was promised. */
function isWithdrawn(db: Db, manifest: number): boolean {
  const children = db.world.manifests[manifest]?.children ?? [];
  return children.some((child) => has(db, withdrawnCell(db.world, child)));
}
