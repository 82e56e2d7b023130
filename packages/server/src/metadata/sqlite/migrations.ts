/** One step of the schema. Never edited once released: its checksum is stored with each database. */
export interface Migration {
  /** 1, 2, 3, ... without gaps. */
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

/**
 * The schema, in steps. What each table is for is drawn in docs/architecture.md; the rules between them, which
 * the foreign keys hold, are:
 *
 * - a manifest's blobs are linked to its repository (manifest_blobs -> repository_blobs -> blobs, RESTRICT);
 * - tags and edges die with their manifest (CASCADE);
 * - nothing deletes an object but a tombstone that is due.
 */
export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: "registry",
    sql: `
CREATE TABLE repositories (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE blobs (
  digest TEXT NOT NULL PRIMARY KEY,
  size INTEGER NOT NULL,
  storage_key TEXT NOT NULL,
  lease_until INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  verified_at INTEGER,
  quarantined_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE repository_blobs (
  repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE RESTRICT,
  digest TEXT NOT NULL REFERENCES blobs (digest) ON DELETE RESTRICT,
  linked_at INTEGER NOT NULL,
  PRIMARY KEY (repository_id, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX repository_blobs_digest ON repository_blobs (digest);

CREATE TABLE manifests (
  repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE RESTRICT,
  digest TEXT NOT NULL,
  media_type TEXT NOT NULL,
  artifact_type TEXT,
  subject_digest TEXT,
  annotations TEXT,
  os TEXT,
  architecture TEXT,
  variant TEXT,
  size INTEGER NOT NULL,
  content_size INTEGER NOT NULL,
  pushed_at INTEGER NOT NULL,
  pushed_by TEXT,
  bytes BLOB NOT NULL,
  PRIMARY KEY (repository_id, digest)
) STRICT;
CREATE INDEX manifests_subject ON manifests (repository_id, subject_digest, digest) WHERE subject_digest IS NOT NULL;

CREATE TABLE manifest_blobs (
  repository_id INTEGER NOT NULL,
  manifest_digest TEXT NOT NULL,
  blob_digest TEXT NOT NULL,
  PRIMARY KEY (repository_id, manifest_digest, blob_digest),
  FOREIGN KEY (repository_id, manifest_digest) REFERENCES manifests (repository_id, digest) ON DELETE CASCADE,
  FOREIGN KEY (repository_id, blob_digest) REFERENCES repository_blobs (repository_id, digest) ON DELETE RESTRICT
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_blobs_blob ON manifest_blobs (repository_id, blob_digest);

CREATE TABLE manifest_absent_blobs (
  repository_id INTEGER NOT NULL,
  manifest_digest TEXT NOT NULL,
  blob_digest TEXT NOT NULL,
  PRIMARY KEY (repository_id, blob_digest, manifest_digest),
  FOREIGN KEY (repository_id, manifest_digest) REFERENCES manifests (repository_id, digest) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_absent_blobs_manifest ON manifest_absent_blobs (repository_id, manifest_digest);

CREATE TABLE manifest_children (
  repository_id INTEGER NOT NULL,
  manifest_digest TEXT NOT NULL,
  child_digest TEXT NOT NULL,
  PRIMARY KEY (repository_id, manifest_digest, child_digest),
  FOREIGN KEY (repository_id, manifest_digest) REFERENCES manifests (repository_id, digest) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_children_child ON manifest_children (repository_id, child_digest);

CREATE TABLE tags (
  repository_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  pushed_at INTEGER NOT NULL,
  pushed_by TEXT,
  PRIMARY KEY (repository_id, name),
  FOREIGN KEY (repository_id, digest) REFERENCES manifests (repository_id, digest) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_digest ON tags (repository_id, digest);

CREATE TABLE uploads (
  id TEXT NOT NULL PRIMARY KEY,
  repository TEXT NOT NULL,
  principal TEXT,
  algorithm TEXT NOT NULL,
  byte_offset INTEGER NOT NULL,
  digest_so_far TEXT,
  finished_digest TEXT,
  started_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_expires ON uploads (expires_at);

CREATE TABLE intents (
  storage_key TEXT NOT NULL PRIMARY KEY,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tombstones (
  storage_key TEXT NOT NULL PRIMARY KEY,
  delete_after INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_due ON tombstones (delete_after);
`,
  },
];
