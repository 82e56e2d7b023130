import { type Digest, parseDigest } from "@stowage/oci/digest";
import { digestOf } from "../support/content.ts";
import { INDEX_TYPE, REPOSITORIES, TAGS, WILD } from "./content.ts";
import { blobPath, manifestPath, type Race } from "./race.ts";
import type { Answer } from "./wire.ts";

/** Part of the grace that a puller uses up, at most. */
const GRACE_PART = 0.8;

/** Questions about one piece of content until it is clear who is right. */
const ASKED_MAX = 20;

/** What an image, index or artifact consists of, from its bytes: read without the registry's own code. */
export interface Parts {
  readonly blobs: readonly Digest[];
  readonly children: readonly Digest[];
}

export function partsOf(bytes: Uint8Array): Parts {
  const json = JSON.parse(new TextDecoder().decode(bytes)) as {
    config?: { digest: string };
    layers?: { digest: string }[];
    manifests?: { digest: string }[];
  };
  const digests = (list: readonly { digest: string }[]) =>
    list.map(({ digest }) => parseDigest(digest)).filter((digest) => digest !== null);
  return {
    blobs: digests([...(json.config === undefined ? [] : [json.config]), ...(json.layers ?? [])]),
    children: digests(json.manifests ?? []),
  };
}

/** A manifest that was there when it was asked for. */
interface Seen {
  readonly repository: string;
  readonly digest: Digest;
  /** When the question was sent: it cannot have been deleted before. */
  readonly at: number;
}

/** Pulls something by its tag, with pauses, and compares every byte. */
export async function pullSomething(race: Race): Promise<void> {
  const { random } = race;
  const repository = random.pick([...REPOSITORIES, WILD]);
  const answer = await getManifest(race, repository, random.pick(TAGS));
  if (answer === null) {
    await Bun.sleep(random.below(20));
    return;
  }
  await pullContent(race, answer.seen, answer.bytes);
}

async function pullContent(race: Race, seen: Seen, bytes: Uint8Array): Promise<void> {
  const { random, terms, score } = race;
  const { blobs, children } = partsOf(bytes);
  for (const child of children) {
    await Bun.sleep(random.below(terms.undoMs));
    const found = await getManifest(race, seen.repository, child);
    if (found !== null) await pullContent(race, found.seen, found.bytes);
    else await judgeChild(race, seen, child);
  }
  await Bun.sleep(random.below(3) === 0 ? random.below(terms.graceMs * GRACE_PART) : 0);
  for (const blob of blobs) {
    const answer = await getBlob(race, seen.repository, blob);
    if (answer.status === 404) await judgeBlob(race, seen, blob, answer);
  }
  score.count("pulls");
}

interface FoundManifest {
  readonly seen: Seen;
  readonly bytes: Uint8Array;
}

async function getManifest(race: Race, repository: string, reference: string): Promise<FoundManifest | null> {
  const path = manifestPath(repository, reference);
  const { status, headers, bytes, askedAt } = await race.wire.send("GET", path, {
    headers: { Accept: `application/vnd.oci.image.manifest.v1+json, ${INDEX_TYPE}` },
  });
  if (status === 404) return null;
  const digest = digestOf(bytes);
  const wanted = headers.get("Docker-Content-Digest");
  if (status !== 200) race.score.violate("bad-answer", `GET ${path} gave ${status}`);
  else if (digest !== wanted) race.score.violate("wrong-bytes", `GET ${path} is ${digest}; wanted ${wanted}`);
  return status === 200 ? { seen: { repository, digest, at: askedAt }, bytes } : null;
}

async function getBlob(race: Race, repository: string, digest: Digest): Promise<Answer> {
  const { wire, score, random, terms } = race;
  const path = blobPath(repository, digest);
  const isSlow = random.below(3) === 0;
  const answer = isSlow
    ? await wire.readSlowly(path, random.below(terms.graceMs * GRACE_PART))
    : await wire.send("GET", path);
  if (answer.status === 200) {
    score.count(isSlow ? "slow-blobs" : "blobs");
    if (digestOf(answer.bytes) !== digest) score.violate("wrong-bytes", `GET ${path}`);
  } else if (answer.status !== 404) score.violate("bad-answer", `GET ${path} gave ${answer.status}`);
  return answer;
}

/**
 * A blob may be missing only when its manifest was deleted at least the undo time ago. So it is a violation when it
 * was missing within that time after the manifest was seen; else the manifest must be gone now, and if it is there
 * (again), that is the next sight of it.
 */
async function judgeBlob(race: Race, first: Seen, blob: Digest, missing: Answer): Promise<void> {
  const { score, wire, terms } = race;
  const { repository, digest } = first;
  let [seen, answer] = [first, missing];
  for (let asked = 0; asked < ASKED_MAX; asked++) {
    const isTimely = answer.answeredAt < seen.at + terms.undoMs;
    const wasEnded = repository === WILD && isEnding(race, seen);
    if (isTimely && !wasEnded) {
      score.violate(
        "dangling",
        `${blob} of ${repository} ${digest}, ${answer.answeredAt - seen.at} ms after it was seen`,
      );
      return;
    }
    const again = await getManifest(race, repository, digest);
    if (again === null) break;
    seen = again.seen;
    answer = await wire.send("GET", blobPath(repository, blob));
    if (answer.status !== 404) break;
  }
  score.count("gone-after-undo-time");
}

/** Whether somebody was deleting it, or its whole repository, when it was seen or later. */
function isEnding({ endings }: Race, { repository, digest, at }: Seen): boolean {
  return endings.since(`${repository} ${digest}`, at) || endings.since(repository, at);
}

/** A child is missing only when its index was deleted before it. */
async function judgeChild(race: Race, first: Seen, child: Digest): Promise<void> {
  const { score } = race;
  const { repository, digest } = first;
  for (let asked = 0; asked < ASKED_MAX; asked++) {
    const index = await getManifest(race, repository, digest);
    if (index === null) break;
    if ((await getManifest(race, repository, child)) !== null) break;
    // Whoever deleted the index by hand may delete its children at once; the collector waits, for both.
    if (isEnding(race, index.seen)) continue;
    if (Date.now() >= index.seen.at + race.terms.untaggedMs) continue;
    score.violate("dangling", `child ${child} of ${repository} ${digest}`);
    return;
  }
  score.count("child-gone-with-index");
}
