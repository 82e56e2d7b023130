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
 * - a blob has at least one link (repository_blobs): the unit that deletes the last one deletes the blob;
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
  {
    version: 2,
    name: "collector",
    // The counters of a repository are kept by triggers, so that no unit of work can forget one.
    sql: `
ALTER TABLE repositories ADD COLUMN deleted_at INTEGER;
ALTER TABLE repositories ADD COLUMN pushed_at INTEGER;
ALTER TABLE repositories ADD COLUMN manifest_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repositories ADD COLUMN tag_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repositories ADD COLUMN logical_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repositories ADD COLUMN blob_bytes INTEGER NOT NULL DEFAULT 0;
CREATE INDEX repositories_deleted ON repositories (deleted_at) WHERE deleted_at IS NOT NULL;

ALTER TABLE repository_blobs ADD COLUMN review_at INTEGER;
UPDATE repository_blobs SET review_at = (SELECT lease_until FROM blobs b WHERE b.digest = repository_blobs.digest);
CREATE INDEX repository_blobs_review ON repository_blobs (review_at) WHERE review_at IS NOT NULL;

-- A blob that lost its last link before there was a collector.
INSERT INTO tombstones (storage_key, delete_after)
  SELECT storage_key, 0 FROM blobs b WHERE NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = b.digest);
DELETE FROM blobs WHERE NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = blobs.digest);
ALTER TABLE blobs DROP COLUMN lease_until;
UPDATE blobs SET verified_at = created_at WHERE verified_at IS NULL;
CREATE INDEX blobs_verified ON blobs (verified_at) WHERE quarantined_at IS NULL;
CREATE INDEX blobs_quarantined ON blobs (quarantined_at) WHERE quarantined_at IS NOT NULL;

ALTER TABLE manifests ADD COLUMN loose_since INTEGER;
UPDATE manifests SET loose_since = pushed_at WHERE NOT EXISTS
  (SELECT 1 FROM tags t WHERE t.repository_id = manifests.repository_id AND t.digest = manifests.digest);
CREATE INDEX manifests_loose ON manifests (repository_id, loose_since) WHERE loose_since IS NOT NULL;
CREATE INDEX manifests_digest ON manifests (digest);
ALTER TABLE tags ADD COLUMN pulled_at INTEGER;
CREATE INDEX tags_pushed ON tags (repository_id, pushed_at, name);

-- Not a column of manifests: writing it would write the manifest's bytes again.
CREATE TABLE manifest_pulls (
  repository_id INTEGER NOT NULL,
  digest TEXT NOT NULL,
  pulled_at INTEGER NOT NULL,
  PRIMARY KEY (repository_id, digest),
  FOREIGN KEY (repository_id, digest) REFERENCES manifests (repository_id, digest) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- An intent that runs out takes its session along, so that no later attempt can use the key again.
ALTER TABLE intents ADD COLUMN upload_id TEXT NOT NULL DEFAULT '';

ALTER TABLE tombstones ADD COLUMN size INTEGER NOT NULL DEFAULT 0;

CREATE TABLE deletions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  repository TEXT NOT NULL,
  repository_id INTEGER NOT NULL,
  reason TEXT NOT NULL,
  deleted_at INTEGER NOT NULL,
  deleted_by TEXT,
  undo_until INTEGER NOT NULL
) STRICT;
CREATE INDEX deletions_due ON deletions (undo_until);

CREATE TABLE deleted_manifests (
  deletion_id INTEGER NOT NULL REFERENCES deletions (id) ON DELETE CASCADE,
  digest TEXT NOT NULL,
  row_json TEXT NOT NULL,
  edges_json TEXT NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (deletion_id, digest)
) STRICT;

CREATE TABLE deleted_tags (
  deletion_id INTEGER NOT NULL REFERENCES deletions (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  pushed_at INTEGER NOT NULL,
  pushed_by TEXT,
  pulled_at INTEGER,
  PRIMARY KEY (deletion_id, name)
) STRICT, WITHOUT ROWID;

-- What keeps the blobs of a deletion while it can be undone.
CREATE TABLE deleted_blobs (
  repository_id INTEGER NOT NULL,
  digest TEXT NOT NULL,
  deletion_id INTEGER NOT NULL REFERENCES deletions (id) ON DELETE CASCADE,
  PRIMARY KEY (repository_id, digest, deletion_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deleted_blobs_deletion ON deleted_blobs (deletion_id);

CREATE TABLE scrub_findings (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  digest TEXT NOT NULL,
  storage_key TEXT NOT NULL,
  problem TEXT NOT NULL,
  found_at INTEGER NOT NULL,
  repaired_at INTEGER
) STRICT;
CREATE INDEX scrub_findings_open ON scrub_findings (digest) WHERE repaired_at IS NULL;

CREATE TABLE holds (
  id TEXT NOT NULL PRIMARY KEY,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
  name TEXT NOT NULL PRIMARY KEY,
  json TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  updated_by TEXT
) STRICT, WITHOUT ROWID;

UPDATE repositories SET
  pushed_at = (SELECT MAX(pushed_at) FROM manifests m WHERE m.repository_id = repositories.id),
  manifest_count = (SELECT COUNT(*) FROM manifests m WHERE m.repository_id = repositories.id),
  tag_count = (SELECT COUNT(*) FROM tags t WHERE t.repository_id = repositories.id),
  logical_bytes = (SELECT COALESCE(SUM(size + content_size), 0) FROM manifests m WHERE m.repository_id = repositories.id),
  blob_bytes = (SELECT COALESCE(SUM(b.size), 0) FROM repository_blobs l JOIN blobs b ON b.digest = l.digest
                 WHERE l.repository_id = repositories.id);

CREATE TRIGGER count_link AFTER INSERT ON repository_blobs BEGIN
  UPDATE repositories SET blob_bytes = blob_bytes + (SELECT size FROM blobs WHERE digest = NEW.digest)
   WHERE id = NEW.repository_id;
END;
CREATE TRIGGER discount_link AFTER DELETE ON repository_blobs BEGIN
  UPDATE repositories SET blob_bytes = blob_bytes - (SELECT size FROM blobs WHERE digest = OLD.digest)
   WHERE id = OLD.repository_id;
END;
CREATE TRIGGER count_manifest AFTER INSERT ON manifests BEGIN
  UPDATE repositories SET manifest_count = manifest_count + 1,
         logical_bytes = logical_bytes + NEW.size + NEW.content_size, pushed_at = NEW.pushed_at
   WHERE id = NEW.repository_id;
END;
CREATE TRIGGER discount_manifest AFTER DELETE ON manifests BEGIN
  UPDATE repositories SET manifest_count = manifest_count - 1,
         logical_bytes = logical_bytes - OLD.size - OLD.content_size
   WHERE id = OLD.repository_id;
END;
CREATE TRIGGER count_tag AFTER INSERT ON tags BEGIN
  UPDATE repositories SET tag_count = tag_count + 1, pushed_at = MAX(COALESCE(pushed_at, 0), NEW.pushed_at)
   WHERE id = NEW.repository_id;
END;
CREATE TRIGGER discount_tag AFTER DELETE ON tags BEGIN
  UPDATE repositories SET tag_count = tag_count - 1 WHERE id = OLD.repository_id;
END;
`,
  },
  {
    version: 3,
    name: "accounts",
    sql: `
CREATE TABLE accounts (
  name TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  password_hash TEXT,
  is_admin INTEGER NOT NULL,
  groups_json TEXT NOT NULL,
  grants_json TEXT NOT NULL,
  description TEXT NOT NULL,
  external_id TEXT,
  created_at INTEGER NOT NULL,
  created_by TEXT,
  disabled_at INTEGER,
  expires_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE access_tokens (
  id TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  account TEXT NOT NULL,
  label TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  limit_json TEXT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX access_tokens_account ON access_tokens (account);
CREATE INDEX access_tokens_expires ON access_tokens (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE signing_keys (
  kid TEXT NOT NULL PRIMARY KEY,
  private_jwk TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  signs_until INTEGER NOT NULL,
  verifies_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`,
  },
  {
    version: 4,
    name: "audit",
    sql: `
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  request_id TEXT,
  caller TEXT,
  credential TEXT,
  address TEXT,
  user_agent TEXT,
  action TEXT NOT NULL,
  repository TEXT,
  reference TEXT,
  status INTEGER NOT NULL,
  count INTEGER NOT NULL,
  is_refusal INTEGER NOT NULL,
  detail_json TEXT NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_changes ON audit (id) WHERE is_refusal = 0;
CREATE INDEX audit_refusals ON audit (id) WHERE is_refusal = 1;
`,
  },
  {
    version: 5,
    name: "quotas",
    // What a quota's namespace holds is counted by triggers, so that no unit of work can forget it, and a push asks for
    // one number however many repositories there are.
    sql: `
CREATE TABLE quotas (
  namespace TEXT NOT NULL PRIMARY KEY,
  bytes_max INTEGER,
  repositories_max INTEGER,
  tags_max INTEGER,
  bytes_used INTEGER NOT NULL,
  repositories_used INTEGER NOT NULL,
  tags_used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The name that is charged: a deleted repository loses its own and takes up space until it is freed.
ALTER TABLE repositories ADD COLUMN quota_name TEXT NOT NULL DEFAULT '';
-- Bytes of manifests, of deleted ones, too, while their deletion can be undone.
ALTER TABLE repositories ADD COLUMN manifest_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE repositories SET quota_name = CASE WHEN deleted_at IS NULL THEN name ELSE
  COALESCE((SELECT repository FROM deletions d WHERE '~' || d.id = repositories.name), name) END;

-- Row ids of repositories are used again: a record of one that is gone must not be counted for another.
UPDATE deletions SET repository_id = 0 WHERE NOT EXISTS
  (SELECT 1 FROM repositories r WHERE r.id = deletions.repository_id AND r.quota_name = deletions.repository);
CREATE INDEX deletions_repository ON deletions (repository_id);
CREATE TRIGGER forget_repository AFTER DELETE ON repositories BEGIN
  UPDATE deletions SET repository_id = 0 WHERE repository_id = OLD.id;
END;

UPDATE repositories SET manifest_bytes =
  (SELECT COALESCE(SUM(size), 0) FROM manifests m WHERE m.repository_id = repositories.id) +
  (SELECT COALESCE(SUM(LENGTH(dm.bytes)), 0) FROM deletions d JOIN deleted_manifests dm ON dm.deletion_id = d.id
    WHERE d.repository_id = repositories.id);
DROP TRIGGER count_manifest;
CREATE TRIGGER count_manifest AFTER INSERT ON manifests BEGIN
  UPDATE repositories SET manifest_count = manifest_count + 1, manifest_bytes = manifest_bytes + NEW.size,
         logical_bytes = logical_bytes + NEW.size + NEW.content_size, pushed_at = NEW.pushed_at
   WHERE id = NEW.repository_id;
END;
DROP TRIGGER discount_manifest;
CREATE TRIGGER discount_manifest AFTER DELETE ON manifests BEGIN
  UPDATE repositories SET manifest_count = manifest_count - 1, manifest_bytes = manifest_bytes - OLD.size,
         logical_bytes = logical_bytes - OLD.size - OLD.content_size
   WHERE id = OLD.repository_id;
END;
CREATE TRIGGER count_deleted_manifest AFTER INSERT ON deleted_manifests BEGIN
  UPDATE repositories SET manifest_bytes = manifest_bytes + LENGTH(NEW.bytes)
   WHERE id = (SELECT repository_id FROM deletions WHERE id = NEW.deletion_id);
END;
-- Before: what it deletes with it is there until then.
CREATE TRIGGER discount_deletion BEFORE DELETE ON deletions BEGIN
  UPDATE repositories SET manifest_bytes = manifest_bytes -
         (SELECT COALESCE(SUM(LENGTH(bytes)), 0) FROM deleted_manifests WHERE deletion_id = OLD.id)
   WHERE id = OLD.repository_id;
END;

-- What a finishing upload is about to become, from before its bytes get their final key.
ALTER TABLE uploads ADD COLUMN reserved_bytes INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER name_repository AFTER INSERT ON repositories BEGIN
  UPDATE repositories SET quota_name = NEW.name WHERE id = NEW.id;
END;
-- Where there are no quotas, as in most registries, it ends with the question whether there are.
CREATE TRIGGER charge_repository AFTER INSERT ON repositories
WHEN EXISTS (SELECT 1 FROM quotas) BEGIN
  UPDATE quotas SET repositories_used = repositories_used + 1 WHERE ${isCovering("NEW.name")};
END;
CREATE TRIGGER recharge_repository
AFTER UPDATE OF blob_bytes, manifest_bytes, tag_count, deleted_at ON repositories
WHEN EXISTS (SELECT 1 FROM quotas) BEGIN
  UPDATE quotas SET
         bytes_used = bytes_used + NEW.blob_bytes + NEW.manifest_bytes - OLD.blob_bytes - OLD.manifest_bytes,
         repositories_used = repositories_used + (NEW.deleted_at IS NULL) - (OLD.deleted_at IS NULL),
         tags_used = tags_used + CASE WHEN NEW.deleted_at IS NULL THEN NEW.tag_count ELSE 0 END
                               - CASE WHEN OLD.deleted_at IS NULL THEN OLD.tag_count ELSE 0 END
   WHERE ${isCovering("NEW.quota_name")};
END;
CREATE TRIGGER discharge_repository AFTER DELETE ON repositories
WHEN EXISTS (SELECT 1 FROM quotas) BEGIN
  UPDATE quotas SET bytes_used = bytes_used - OLD.blob_bytes - OLD.manifest_bytes,
         repositories_used = repositories_used - (OLD.deleted_at IS NULL),
         tags_used = tags_used - CASE WHEN OLD.deleted_at IS NULL THEN OLD.tag_count ELSE 0 END
   WHERE ${isCovering("OLD.quota_name")};
END;
CREATE TRIGGER recharge_upload AFTER UPDATE OF byte_offset, reserved_bytes, finished_digest ON uploads
WHEN EXISTS (SELECT 1 FROM quotas) BEGIN
  UPDATE quotas SET bytes_used = bytes_used
         + CASE WHEN NEW.finished_digest IS NULL THEN MAX(NEW.byte_offset, NEW.reserved_bytes) ELSE 0 END
         - CASE WHEN OLD.finished_digest IS NULL THEN MAX(OLD.byte_offset, OLD.reserved_bytes) ELSE 0 END
   WHERE ${isCovering("NEW.repository")};
END;
CREATE TRIGGER discharge_upload AFTER DELETE ON uploads
WHEN OLD.finished_digest IS NULL AND EXISTS (SELECT 1 FROM quotas) BEGIN
  UPDATE quotas SET bytes_used = bytes_used - MAX(OLD.byte_offset, OLD.reserved_bytes)
   WHERE ${isCovering("OLD.repository")};
END;
`,
  },
];

/**
 * Whether a row of quotas is for the repository `name`. A namespace that is lies between the first part of the name and
 * the whole of it, so only such rows are looked at. A part of the migration "quotas": never edited.
 */
function isCovering(name: string): string {
  return `(namespace = '' OR (namespace >= SUBSTR(${name}, 1, INSTR(${name} || '/', '/') - 1) AND namespace <= ${name}
     AND (namespace = ${name} OR SUBSTR(${name}, 1, LENGTH(namespace) + 1) = namespace || '/')))`;
}
