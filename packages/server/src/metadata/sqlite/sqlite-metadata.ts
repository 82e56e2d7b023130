import type { Digest } from "@stowage/oci/digest";
import type { Reference } from "@stowage/oci/reference";
import type { RepositoryName } from "@stowage/oci/repository-name";
import {
  type BlobMetadata,
  type BlobRecord,
  DURATIONS_DEFAULT,
  type Durations,
  type GarbageMetadata,
  type ManifestMetadata,
  type ManifestRecord,
  type Metadata,
  type UploadMetadata,
} from "../metadata.ts";
import * as blobs from "../sql/blobs.ts";
import * as garbage from "../sql/garbage.ts";
import * as manifests from "../sql/manifests.ts";
import { listRepositories } from "../sql/repositories.ts";
import { all } from "../sql/statement.ts";
import * as uploads from "../sql/uploads.ts";
import { SqliteDatabase, type SqliteOptions } from "./sqlite-database.ts";

export interface SqliteMetadataOptions extends SqliteOptions {
  readonly durations?: Durations;
}

/** The registry's metadata in one SQLite file: binds the units of work to the database. */
export class SqliteMetadata implements Metadata {
  readonly blobs: BlobMetadata;
  readonly uploads: UploadMetadata;
  readonly manifests: ManifestMetadata;
  readonly garbage: GarbageMetadata;
  readonly #database: SqliteDatabase;

  constructor(path: string, options: SqliteMetadataOptions) {
    const durations = options.durations ?? DURATIONS_DEFAULT;
    const database = new SqliteDatabase(path, options);
    this.#database = database;
    this.blobs = bindBlobs(database, durations);
    this.uploads = {
      start: (session) => database.write(() => uploads.startUpload(session, durations)),
      find: async (id) => database.read(uploads.findUpload(id)),
      advance: (id, progress) => database.write(() => uploads.advanceUpload(id, progress, durations)),
      touch: (id) => database.write(() => uploads.touchUpload(id, durations)),
      prepareFinish: (id, blob, key) => database.write(() => uploads.prepareFinish(id, blob, key, durations)),
      finish: (id, blob) => database.write(() => uploads.finishUpload(id, blob, durations)),
      cancel: (id, key) => database.write(() => uploads.cancelUpload(id, key)),
    };
    this.manifests = {
      put: (manifest) => database.write(() => manifests.putManifest(manifest)),
      find: async (repository, reference) => findManifest(database, repository, reference),
      delete: (repository, digest, options) =>
        database.write(() => manifests.deleteManifest(repository, digest, options)),
      deleteTag: (repository, tag) => database.write(() => manifests.deleteTag(repository, tag)),
      listTags: async (repository, page) =>
        database.readCached(
          `tags ${page.entriesMax} ${page.after} ${repository}`,
          () => manifests.listTags(repository, page),
          (tags) => bytesOfNames(tags ?? []),
        ),
      listReferrers: async (repository, subject, query) =>
        database.read(manifests.listReferrers(repository, subject, query)),
      listRepositories: async (page) =>
        database.readCached(
          `repositories ${page.entriesMax} ${page.after}`,
          () => listRepositories(page),
          bytesOfNames,
        ),
    };
    this.garbage = {
      expire: (max, uploadKeyOf) => database.write(() => garbage.expire(max, uploadKeyOf)),
      due: async (max) => database.read(garbage.due(max)),
      forget: (keys) => database.write(() => garbage.forget(keys)),
    };
  }

  async ping(): Promise<void> {
    this.#database.read(all("SELECT 1 FROM migrations"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database.close();
  }
}

/** What a list of names takes in memory, roughly. */
function bytesOfNames(names: readonly string[]): number {
  return names.length * 64;
}

function bindBlobs(database: SqliteDatabase, durations: Durations): BlobMetadata {
  return {
    find: async (repository, digest) => findBlob(database, repository, digest)?.blob ?? null,
    findForPush: (repository, digest) => findForPush(database, durations, repository, digest),
    mount: (digest, from, to) => database.write(() => blobs.mountBlob(digest, from, to, durations)),
    repositoriesWith: async (digest, entriesMax) => database.read(blobs.repositoriesWith(digest, entriesMax)),
    unlink: (repository, digest) => database.write(() => blobs.unlinkBlob(repository, digest)),
  };
}

function findBlob(
  database: SqliteDatabase,
  repository: RepositoryName,
  digest: Digest,
): blobs.LeasedBlob | null {
  return database.readCached(`blob ${digest} ${repository}`, () => blobs.findBlob(repository, digest));
}

/** A read nearly always: the transaction is only entered when the lease has run down to its half. */
async function findForPush(
  database: SqliteDatabase,
  durations: Durations,
  repository: RepositoryName,
  digest: Digest,
): Promise<BlobRecord | null> {
  const found = findBlob(database, repository, digest);
  if (found === null) return null;
  if (!database.read(blobs.isLeaseShort(found, durations))) return found.blob;
  return await database.write(() => blobs.leaseBlob(repository, digest, durations));
}

function findManifest(
  database: SqliteDatabase,
  repository: RepositoryName,
  reference: Reference,
): ManifestRecord | null {
  const name = reference.kind === "tag" ? reference.tag : reference.digest;
  return database.readCached(
    `manifest ${name} ${repository}`,
    () => manifests.findManifest(repository, reference),
    (found) => found?.bytes.byteLength ?? 0,
  );
}
