import { Database } from "bun:sqlite";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Digest } from "@stowage/oci/digest";
import { digestOf } from "../support/content.ts";
import { partsOf } from "./puller.ts";
import { blobPath, type KnownPath, manifestPath } from "./race.ts";
import { settleMs, type Terms } from "./terms.ts";
import type { Wire } from "./wire.ts";

/** What a slow machine gets on top before something that is left over counts as left for ever. */
const PATIENCE_MS = 30_000;

interface ManifestRow {
  repository: string;
  digest: Digest;
  subject_digest: Digest | null;
  bytes: Uint8Array;
}

/** What a data folder holds, read without the registry. */
interface Folder {
  readonly manifests: readonly ManifestRow[];
  readonly tags: readonly { repository: string; digest: Digest }[];
  readonly links: readonly { repository: string; digest: Digest }[];
  readonly blobs: readonly { digest: Digest; size: number; storage_key: string }[];
  /** Files, by storage key, with their bytes. */
  readonly files: ReadonlyMap<string, number>;
  /** Files that an open session or a writer under way accounts for. */
  readonly underWay: ReadonlySet<string>;
  readonly waiting: { tombstones: number; deletions: number; repositories: number };
}

/**
 * Compares what is in the data folder with what the tags lead to, by own reading of the manifests' bytes. Each line
 * says what is missing, or what is there and should have been collected (G7); none: it is clean.
 */
export function findLeftOrLost(dataDir: string): readonly string[] {
  const folder = readFolder(dataDir);
  const reachable = walkManifests(folder);
  const needed = new Set<string>();
  for (const { repository, digest, bytes } of folder.manifests) {
    if (!reachable.has(`${repository} ${digest}`)) continue;
    for (const blob of partsOf(bytes).blobs) needed.add(`${repository} ${blob}`);
  }
  return [
    ...findWaiting(folder),
    ...folder.manifests
      .filter(({ repository, digest }) => !reachable.has(`${repository} ${digest}`))
      .map(({ repository, digest }) => `left: manifest ${repository} ${digest}, which nothing holds`),
    ...findBadLinks(folder, needed),
    ...findBadFiles(folder, needed),
  ];
}

/** Milliseconds until the folder is clean, or until patience ends. */
export async function settle(dataDir: string, terms: Terms): Promise<number> {
  const startedAt = Date.now();
  const deadline = startedAt + settleMs(terms) + PATIENCE_MS;
  while (findLeftOrLost(dataDir).length > 0 && Date.now() < deadline) await Bun.sleep(100);
  return Date.now() - startedAt;
}

function readFolder(dataDir: string): Folder {
  using database = new Database(join(dataDir, "stowage.sqlite"), { readonly: true, strict: true });
  const rows = <Row>(sql: string) => database.query<Row, []>(sql).all();
  const count = (table: string) =>
    rows<{ count: number }>(`SELECT COUNT(*) AS count FROM ${table}`)[0]?.count ?? 0;
  // One transaction, so that all tables are of the same moment; the files come after it.
  database.run("BEGIN");
  const folder = {
    manifests: rows<ManifestRow>(
      `SELECT r.name AS repository, m.digest, m.subject_digest, m.bytes
         FROM manifests m JOIN repositories r ON r.id = m.repository_id WHERE r.deleted_at IS NULL`,
    ),
    tags: rows<{ repository: string; digest: Digest }>(
      "SELECT r.name AS repository, t.digest FROM tags t JOIN repositories r ON r.id = t.repository_id",
    ),
    links: rows<{ repository: string; digest: Digest }>(
      "SELECT r.name AS repository, l.digest FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id",
    ),
    blobs: rows<{ digest: Digest; size: number; storage_key: string }>(
      "SELECT digest, size, storage_key FROM blobs",
    ),
    underWay: new Set(
      rows<{ key: string }>(
        `SELECT 'uploads/' || id AS key FROM uploads WHERE finished_digest IS NULL
         UNION SELECT storage_key FROM intents`,
      ).map(({ key }) => key),
    ),
    waiting: {
      tombstones: count("tombstones"),
      deletions: count("deletions"),
      repositories: count("repositories WHERE deleted_at IS NOT NULL"),
    },
  };
  database.run("COMMIT");
  return { ...folder, files: filesOf(dataDir) };
}

function filesOf(dataDir: string): ReadonlyMap<string, number> {
  const files = new Map<string, number>();
  for (const folder of ["uploads", "blobs"]) {
    for (const entry of readdirSync(join(dataDir, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const size = statSync(path, { throwIfNoEntry: false })?.size;
      if (size !== undefined) files.set(path.slice(dataDir.length + 1), size);
    }
  }
  return files;
}

/** Manifests that a tag leads to: itself, through an index, or as the subject of a referrer. */
function walkManifests({ manifests, tags }: Folder): ReadonlySet<string> {
  const byPath = new Map(manifests.map((row) => [`${row.repository} ${row.digest}`, row]));
  const referrers = Map.groupBy(manifests, (row) => `${row.repository} ${row.subject_digest}`);
  const reachable = new Set<string>();
  const queue = tags.map(({ repository, digest }) => `${repository} ${digest}`);
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const row = byPath.get(path);
    if (row === undefined || reachable.has(path)) continue;
    reachable.add(path);
    for (const child of partsOf(row.bytes).children) queue.push(`${row.repository} ${child}`);
    for (const referrer of referrers.get(path) ?? []) queue.push(`${row.repository} ${referrer.digest}`);
  }
  return reachable;
}

function findWaiting({ waiting }: Folder): readonly string[] {
  return Object.entries(waiting)
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `left: ${count} ${what} that wait for the collector`);
}

function findBadLinks({ links }: Folder, needed: ReadonlySet<string>): readonly string[] {
  const linked = new Set(links.map(({ repository, digest }) => `${repository} ${digest}`));
  return [
    ...[...linked.difference(needed)].map((link) => `left: link ${link}, which no manifest needs`),
    ...[...needed.difference(linked)].map((link) => `lost: ${link}, which a manifest needs`),
  ];
}

function findBadFiles({ blobs, files, underWay }: Folder, needed: ReadonlySet<string>): readonly string[] {
  const digests = new Set([...needed].map((link) => link.split(" ")[1]));
  const keys = new Set(blobs.map(({ storage_key }) => storage_key));
  return [
    ...blobs.filter(({ digest }) => !digests.has(digest)).map(({ digest }) => `left: blob ${digest}`),
    ...blobs
      .filter(({ storage_key, size }) => files.get(storage_key) !== size)
      .map(
        ({ storage_key, size }) => `lost: ${storage_key} has ${files.get(storage_key)} bytes; wanted ${size}`,
      ),
    ...[...files.keys()]
      .filter((key) => !keys.has(key) && !underWay.has(key))
      .map((key) => `left: file ${key}`),
  ];
}

export interface Walk {
  readonly manifests: number;
  readonly blobs: number;
  /** What was not as it must be. */
  readonly broken: readonly string[];
}

/**
 * Reads everything that can be reached over HTTP, from the catalog through tags, indexes and referrers, and every
 * manifest in `known` that is still there; each blob is hashed again.
 */
export async function walkEverything(wire: Wire, known: Iterable<KnownPath>): Promise<Walk> {
  const broken: string[] = [];
  const visited = new Set<string>();
  const blobs = new Set<string>();
  const queue: { readonly repository: string; readonly reference: string; readonly mustBe: boolean }[] = [];
  for (const path of known) {
    const [repository = "", reference = ""] = path.split(" ");
    queue.push({ repository, reference, mustBe: false });
  }
  for (const repository of await listNames(wire, "/v2/_catalog", "repositories")) {
    for (const reference of await listNames(wire, `/v2/${repository}/tags/list`, "tags")) {
      queue.push({ repository, reference, mustBe: true });
    }
  }
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const { repository, reference, mustBe } = next;
    const { status, bytes } = await wire.send("GET", manifestPath(repository, reference));
    if (status === 404 && !mustBe) continue;
    const digest = digestOf(bytes);
    if (status !== 200 || (reference.includes(":") && reference !== digest)) {
      broken.push(`manifest ${repository} ${reference}: ${status} ${digest}`);
      continue;
    }
    if (visited.has(`${repository} ${digest}`)) continue;
    visited.add(`${repository} ${digest}`);
    const parts = partsOf(bytes);
    const referrers = await listReferrers(wire, repository, digest);
    for (const child of [...parts.children, ...referrers])
      queue.push({ repository, reference: child, mustBe: true });
    for (const blob of parts.blobs) {
      if (blobs.has(`${repository} ${blob}`)) continue;
      blobs.add(`${repository} ${blob}`);
      const answer = await wire.send("GET", blobPath(repository, blob));
      const isWhole = answer.status === 200 && digestOf(answer.bytes) === blob;
      if (!isWhole) broken.push(`blob ${repository} ${blob}: ${answer.status}`);
    }
  }
  return { manifests: visited.size, blobs: blobs.size, broken };
}

async function listNames(wire: Wire, path: string, member: string): Promise<readonly string[]> {
  const { bytes } = await wire.send("GET", path);
  return (JSON.parse(new TextDecoder().decode(bytes)) as Record<string, string[] | undefined>)[member] ?? [];
}

async function listReferrers(wire: Wire, repository: string, digest: Digest): Promise<readonly string[]> {
  const { bytes } = await wire.send("GET", `/v2/${repository}/referrers/${digest}`);
  return partsOf(bytes).children;
}
