import type { Digest } from "@stowage/oci/digest";
import type { Reference } from "@stowage/oci/reference";
import type { RepositoryName } from "@stowage/oci/repository-name";
import {
  type AuditMetadata,
  type AccountMetadata,
  type BlobMetadata,
  type BlobRecord,
  type DeletionMetadata,
  type DocumentMetadata,
  DURATIONS_DEFAULT,
  type Durations,
  type GarbageMetadata,
  type InventoryMetadata,
  type KeyMetadata,
  type ManifestMetadata,
  type ManifestRecord,
  type Metadata,
  type QuotaMetadata,
  type RetentionMetadata,
  type ScrubMetadata,
  type TokenMetadata,
  type UploadMetadata,
} from "../metadata.ts";
import * as tokens from "../sql/access-tokens.ts";
import * as accounts from "../sql/accounts.ts";
import * as audit from "../sql/audit.ts";
import * as blobs from "../sql/blobs.ts";
import * as deletions from "../sql/deletions.ts";
import * as documents from "../sql/documents.ts";
import * as garbage from "../sql/garbage.ts";
import * as inventory from "../sql/inventory.ts";
import * as content from "../sql/inventory-content.ts";
import * as manifests from "../sql/manifests.ts";
import { listRepositories } from "../sql/repositories.ts";
import * as quotas from "../sql/quotas.ts";
import * as retention from "../sql/retention.ts";
import * as scrub from "../sql/scrub.ts";
import { all, now } from "../sql/statement.ts";
import { setTag } from "../sql/tags.ts";
import * as tombstones from "../sql/tombstones.ts";
import * as undo from "../sql/undo.ts";
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
  readonly deletions: DeletionMetadata;
  readonly garbage: GarbageMetadata;
  readonly scrub: ScrubMetadata;
  readonly retention: RetentionMetadata;
  readonly inventory: InventoryMetadata;
  readonly audit: AuditMetadata;
  readonly quotas: QuotaMetadata;
  readonly documents: DocumentMetadata;
  readonly accounts: AccountMetadata;
  readonly tokens: TokenMetadata;
  readonly keys: KeyMetadata;
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
      setTag: (repository, wanted) => database.write(() => setTag(repository, wanted)),
      find: async (repository, reference) => findManifest(database, repository, reference),
      findForPush: async (repository, reference) => {
        const found = findManifest(database, repository, reference);
        if (found === null || !database.read(manifests.isManifestLeaseShort(found, durations))) return found;
        return await database.write(() => manifests.leaseManifest(repository, reference));
      },
      delete: (repository, digest, options) =>
        database.write(() => deletions.deleteManifest(repository, digest, options, durations)),
      previewDelete: async (repository, digest, { withParts }) =>
        database.read(deletions.previewDelete(repository, digest, withParts)),
      deleteTag: (repository, tag, by) =>
        database.write(() => deletions.deleteTag(repository, tag, by, durations)),
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
    this.deletions = bindDeletions(database, durations);
    this.garbage = bindGarbage(database, durations);
    this.retention = bindRetention(database, durations);
    this.scrub = {
      next: async (before, max) => database.read(scrub.nextToVerify(before, max)),
      verified: (found, notBefore) => database.write(() => scrub.setVerified(found, notBefore)),
      quarantine: (blob, problem) => database.write(() => scrub.quarantine(blob, problem)),
      findings: async (before, entriesMax) => database.read(scrub.listFindings(before, entriesMax)),
    };
    this.inventory = bindInventory(database);
    this.audit = {
      append: (entries) => database.write(() => audit.appendAudit(entries)),
      list: async (query) => database.read(audit.listAudit(query)),
      expire: (limits) => database.write(() => audit.expireAudit(limits)),
    };
    this.quotas = bindQuotas(database);
    const signIn = bindAccounts(database);
    this.documents = signIn.documents;
    this.accounts = signIn.accounts;
    this.tokens = signIn.tokens;
    this.keys = signIn.keys;
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
    unlink: (repository, digest) => database.write(() => blobs.unlinkBlob(repository, digest, durations)),
  };
}

function bindDeletions(database: SqliteDatabase, durations: Durations): DeletionMetadata {
  return {
    deleteRepository: (repository, by) =>
      database.write(() => deletions.deleteRepository(repository, by, durations)),
    list: async ({ before, entriesMax }) => database.read(undo.listDeletions(before, entriesMax)),
    find: async (id) => database.read(undo.findDeletion(id)),
    undo: (id) =>
      database
        .write(() => undo.undoDeletion(id))
        .catch((error: unknown) => {
          const digest = undo.goneDigest(error);
          if (digest === null) throw error;
          return { kind: "content-gone", digest } as const;
        }),
    purge: (id) => database.write(() => undo.purgeDeletions(id)),
  };
}

function bindRetention(database: SqliteDatabase, durations: Durations): RetentionMetadata {
  return {
    listTags: async (repository, { after, entriesMax }) =>
      database.read(retention.listJudgedTags(repository, after, entriesMax)),
    deleteTags: (repository, tags) =>
      database.write(() => retention.deleteJudgedTags(repository, tags, durations)),
    recordPulls: (pulls) => database.write(() => retention.recordPulls(pulls)),
  };
}

function bindAccounts(
  database: SqliteDatabase,
): Pick<Metadata, "documents" | "accounts" | "tokens" | "keys"> {
  return {
    documents: {
      // Asked at every push of a manifest, and of every caller.
      find: async (name) => database.readCached(`document ${name}`, () => documents.findDocument(name)),
      put: (name, json, by) => database.write(() => documents.putDocument(name, json, by)),
      replace: (document, before) => database.write(() => documents.replaceDocument(document, before)),
    },
    accounts: {
      find: async (name) => database.readCached(`account ${name}`, () => accounts.findAccount(name)),
      list: async ({ kinds, after, entriesMax }) =>
        database.read(accounts.listAccounts(kinds, after, entriesMax)),
      create: (account, options) => database.write(() => accounts.createAccount(account, options)),
      update: (name, changes) => database.write(() => accounts.updateAccount(name, changes)),
      remove: (name) => database.write(() => accounts.removeAccount(name)),
      updateKeepingAdmin: (name, changes) => database.write(() => accounts.updateKeepingAdmin(name, changes)),
      removeKeepingAdmin: (name) => database.write(() => accounts.removeKeepingAdmin(name)),
    },
    tokens: {
      find: async (id) => database.readCached(`token ${id}`, () => tokens.findToken(id)),
      create: (token) => database.write(() => tokens.createToken(token)),
      list: async (query) => database.read(tokens.listTokens(query)),
      revoke: (id, account) => database.write(() => tokens.revokeToken(id, account)),
      endOthers: (id, at) => database.write(() => tokens.endOtherTokens(id, at)),
      noteUse: (uses) => database.write(() => tokens.noteTokenUse(uses)),
      expire: (max) => database.write(() => tokens.expireTokens(max)),
    },
    keys: {
      list: async () => database.readCached("keys", () => tokens.listKeys()),
      add: (key, options) => database.write(() => tokens.addKey(key, options)),
      clear: () => database.write(() => tokens.clearKeys()),
    },
  };
}

function bindGarbage(database: SqliteDatabase, durations: Durations): GarbageMetadata {
  return {
    now: async () => database.read(now()),
    expire: (max, uploadKeyOf) => database.write(() => garbage.expire(max, uploadKeyOf)),
    expireDeletions: (max) => database.write(() => undo.expireDeletions(max, durations)),
    collect: (max) => database.write(() => garbage.collect(max, durations)),
    collectUntagged: (repository, options) =>
      database.write(() => garbage.collectUntagged(repository, options, durations)),
    preview: async () => database.read(garbage.preview()),
    due: async (max) => database.read(tombstones.due(max)),
    forget: (keys) => database.write(() => tombstones.forget(keys)),
    findOrphans: async (objects) => database.read(tombstones.findOrphans(objects)),
    adopt: (objects) => database.write(() => tombstones.adopt(objects)),
    hold: (id, ms) => database.write(() => tombstones.hold(id, ms)),
    release: (id) => database.write(() => tombstones.release(id)),
  };
}

function bindQuotas(database: SqliteDatabase): QuotaMetadata {
  return {
    list: async ({ after, entriesMax }) => database.read(quotas.listQuotas(after, entriesMax)),
    find: async (namespace) => database.read(quotas.findQuota(namespace)),
    applyingTo: async (repository) => database.read(quotas.quotasFor(repository)),
    chargedBytes: async (repository, digest) => database.read(quotas.chargedBytes(repository, digest)),
    put: (namespace, limits, { quotasMax }) =>
      database.write(() => quotas.putQuota(namespace, limits, quotasMax)),
    delete: (namespace) => database.write(() => quotas.deleteQuota(namespace)),
  };
}

function bindInventory(database: SqliteDatabase): InventoryMetadata {
  return {
    repositories: async (query) => database.read(inventory.listRepositorySummaries(query)),
    repository: async (name) => database.read(inventory.findRepositorySummary(name)),
    createRepository: (name) => database.write(() => inventory.createRepository(name)),
    exclusive: async (repository, query) => database.read(inventory.sumExclusive(repository, query)),
    tags: async (repository, query) => database.read(content.listTagSummaries(repository, query)),
    tag: async (repository, tag) => database.read(content.findTagSummary(repository, tag)),
    tagsOf: async (repository, digest, entriesMax) =>
      database.read(content.listTagsOf(repository, digest, entriesMax)),
    manifest: async (repository, digest, entriesMax) =>
      database.read(content.findManifestSummary(repository, digest, entriesMax)),
    blob: async (digest) => database.read(inventory.findBlobSummary(digest)),
    blobLinks: async (digest, query) => database.read(inventory.listBlobLinks(digest, query)),
  };
}

function findBlob(
  database: SqliteDatabase,
  repository: RepositoryName,
  digest: Digest,
): blobs.LinkedBlob | null {
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
