import type { Digest } from "@stowage/oci/digest";
import type { TestBlob, TestImage } from "../support/content.ts";
import { referrerOf, REPOSITORIES, TAGS, type TestIndex, type TestManifest, WILD } from "./content.ts";
import { blobPath, manifestPath, type Race } from "./race.ts";
import type { Answer } from "./wire.ts";

/** The last manifest is sent this long before the first promise ends, so that a busy machine gets it there in time. */
const MARGIN_MS = 150;

/** Attempts to upload one blob while the server is being killed. */
const UPLOADS_MAX = 5;

/** What was promised for one push, and until when (milliseconds since 1970). */
interface Promised {
  readonly repository: string;
  /** Each digest with when it was confirmed. */
  readonly confirmed: Map<Digest, number>;
  until: number;
  /** When the next step has to come, because of what this push is a part of. */
  readonly hurryUntil: number;
}

/** Pushes something from the pool somewhere, and holds the registry to what it promised on the way. */
export async function pushSomething(race: Race): Promise<void> {
  const { random, content } = race;
  const repository = random.below(8) === 0 ? WILD : random.pick(REPOSITORIES);
  const tag = random.pick(TAGS);
  switch (random.below(3)) {
    case 0:
      await pushIndex(race, repository, random.pick(content.indexes), tag);
      return;
    case 1: {
      const image = random.pick(content.images);
      const pushed = await pushImage(race, startPush(repository), image, tag);
      if (pushed === null) return;
      const referrer = referrerOf(image, random.pick(random.pick(content.images).layers));
      await pushImage(race, startPush(repository), referrer, referrer.manifest.digest);
      return;
    }
    default:
      await pushImage(race, startPush(repository), random.pick(content.images), tag);
  }
}

/** When the manifest was asked for that was acknowledged, or null. */
async function pushImage(
  race: Race,
  promised: Promised,
  image: TestImage,
  reference: string,
): Promise<number | null> {
  for (const blob of [image.config, ...image.layers]) {
    if (!(await provideBlob(race, promised, blob))) return null;
    await pause(race, promised, "between");
  }
  await pause(race, promised, "last");
  return await putManifest(race, promised, image, reference);
}

/** Children by digest, each with its own blobs, and then the index: a child without tag is safe for a while. */
async function pushIndex(race: Race, repository: string, index: TestIndex, tag: string): Promise<void> {
  const { random, terms } = race;
  const promised = startPush(repository);
  for (const child of index.children) {
    const { digest } = child.manifest;
    if (random.below(2) === 0 && (await isManifestThere(race, promised, child))) continue;
    const at = await pushImage(race, startPush(repository, promised.until), child, digest);
    if (at === null) return;
    confirm(promised, digest, { at, until: at + Math.max(terms.untaggedMs, terms.leaseMs) });
    await pause(race, promised, "between");
  }
  await pause(race, promised, "last");
  await putManifest(race, promised, index, tag);
}

/** As containerd asks before it pushes a manifest: what is there is not pushed again, and is leased. */
async function isManifestThere(race: Race, promised: Promised, { manifest }: TestManifest): Promise<boolean> {
  const head = await race.wire.send("HEAD", manifestPath(promised.repository, manifest.digest));
  if (head.status === 404) return false;
  if (head.status !== 200) return refuse(race, "HEAD of a manifest", head);
  race.score.count("leased-manifests");
  confirm(promised, manifest.digest, { at: head.askedAt, until: head.askedAt + race.terms.leaseMs / 2 });
  return true;
}

function startPush(repository: string, hurryUntil = Number.POSITIVE_INFINITY): Promised {
  return { repository, confirmed: new Map(), until: Number.POSITIVE_INFINITY, hurryUntil };
}

interface Confirmation {
  readonly at: number;
  readonly until: number;
}

function confirm(promised: Promised, digest: Digest, { at, until }: Confirmation): void {
  promised.confirmed.set(digest, at);
  promised.until = Math.min(promised.until, until);
}

/** Waits a random time within the promises, sometimes up to just before the first of them ends. */
async function pause({ random }: Race, promised: Promised, where: "between" | "last"): Promise<void> {
  const left = Math.min(promised.until, promised.hurryUntil) - Date.now() - MARGIN_MS;
  const style = random.below(4);
  if (left <= 0 || left === Number.POSITIVE_INFINITY || style === 0) return;
  const isToTheEnd = style === 1 && where === "last";
  const longest = where === "last" ? left : left / 3;
  await Bun.sleep(isToTheEnd ? left : random.below(Math.max(1, Math.floor(longest))));
}

/** HEAD, then mount, then upload, as clients do it. False when the push cannot go on. */
async function provideBlob(race: Race, promised: Promised, blob: TestBlob): Promise<boolean> {
  const { wire, score, random, terms } = race;
  const { repository } = promised;
  const head = await wire.send("HEAD", blobPath(repository, blob.digest));
  if (head.status === 200) {
    score.count("leased-by-HEAD");
    // A lease is renewed when less than half of it is left: that much is certain.
    confirm(promised, blob.digest, { at: head.askedAt, until: head.askedAt + terms.leaseMs / 2 });
    return true;
  }
  if (head.status !== 404) return refuse(race, "HEAD of a blob", head);
  const uploads = `/v2/${repository}/blobs/uploads/`;
  const from = random.pick(REPOSITORIES);
  const mount = await wire.send("POST", `${uploads}?mount=${blob.digest}&from=${from}`);
  if (mount.status === 201) {
    score.count("mounts");
    confirm(promised, blob.digest, { at: mount.askedAt, until: mount.askedAt + terms.leaseMs });
    return true;
  }
  if (mount.status !== 202) return refuse(race, "mount", mount);
  return await uploadBlob(race, promised, blob, mount.headers.get("Location"));
}

async function uploadBlob(
  race: Race,
  promised: Promised,
  blob: TestBlob,
  opened: string | null,
): Promise<boolean> {
  const { wire, score, random, terms } = race;
  let session = opened;
  for (let attempt = 0; attempt < UPLOADS_MAX; attempt++) {
    session ??= (await wire.send("POST", `/v2/${promised.repository}/blobs/uploads/`)).headers.get(
      "Location",
    );
    const isChunked = random.below(3) === 0;
    const patch = isChunked ? await wire.send("PATCH", session ?? "", { body: blob.bytes }) : null;
    const isPatched = patch?.status === 202;
    const firstAskedAt = Date.now();
    const put = await wire.send("PUT", `${session}?digest=${blob.digest}`, {
      body: isPatched ? new Uint8Array() : blob.bytes,
    });
    session = null;
    if (put.status === 201) {
      score.count("uploads");
      // A repeated request is answered like the first one, whose lease it is.
      confirm(promised, blob.digest, { at: firstAskedAt, until: firstAskedAt + terms.leaseMs });
      return true;
    }
    // A request that was cut off by a kill may have moved the session on.
    if (put.retries === 0 && (patch?.retries ?? 0) === 0) return refuse(race, "PUT of an upload", put);
  }
  return false;
}

async function putManifest(
  race: Race,
  promised: Promised,
  { manifest, mediaType }: TestManifest,
  reference: string,
): Promise<number | null> {
  const { wire, score } = race;
  const { repository } = promised;
  const put = await wire.send("PUT", manifestPath(repository, reference), {
    headers: { "Content-Type": mediaType },
    body: manifest.bytes,
  });
  if (put.status === 201) {
    score.count("pushes");
    race.known.add(`${repository} ${manifest.digest}`);
    race.present.add(`${repository} ${manifest.digest}`);
    return put.askedAt;
  }
  const text = new TextDecoder().decode(put.bytes);
  if (put.status !== 400 || !text.includes("MANIFEST_BLOB_UNKNOWN")) {
    refuse(race, "PUT of a manifest", put);
    return null;
  }
  judgeMissing(race, promised, put, text);
  return null;
}

/** MANIFEST_BLOB_UNKNOWN is right only for what somebody deleted meanwhile, or whose promise had ended. */
function judgeMissing({ score, endings }: Race, promised: Promised, put: Answer, text: string): void {
  const { repository } = promised;
  const named = [...promised.confirmed].filter(([digest]) => text.includes(digest));
  if (repository === WILD || named.some(([digest, at]) => endings.since(`${repository} ${digest}`, at))) {
    score.count("unknown-after-deletion");
  } else if (put.answeredAt >= promised.until) {
    score.count("unknown-after-lease");
  } else {
    const ages = named
      .map(([digest, at]) => `${digest.slice(0, 19)} ${put.answeredAt - at} ms old`)
      .join(", ");
    score.violate(
      "broken-promise",
      `${repository}: ${ages}, promised ${promised.until - put.answeredAt} ms more`,
    );
  }
}

function refuse({ score }: Race, what: string, { status, bytes }: Answer): false {
  score.violate("bad-answer", `${what} gave ${status} ${new TextDecoder().decode(bytes).slice(0, 200)}`);
  return false;
}
