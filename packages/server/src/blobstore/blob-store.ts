import type { Digest } from "@stowage/oci/digest";
import type { ByteRange } from "@stowage/oci/range";
import type { UploadId } from "@stowage/oci/upload-id";

declare const brand: unique symbol;

/** Where an object lies in the store; opaque to everybody else. Made by a store or read back from metadata. */
export type StorageKey = string & { readonly [brand]: "StorageKey" };

/**
 * Keeps the bytes of uploads and blobs. It knows no repositories and decides nothing: what may be read or
 * deleted is the metadata's business. Objects are written once, as an upload, and then committed under a key
 * of their own generation, so that nothing is ever overwritten. An I/O error is thrown as it is; a full store
 * throws RegistryError STORAGE_FULL.
 */
export interface BlobStore extends AsyncDisposable {
  /**
   * Opens the bytes of an upload for appending at `offset`. Bytes behind it, from a writer that died, are
   * dropped. Null when fewer than `offset` bytes are there. The caller disposes the writer; there is at most
   * one per upload at a time.
   */
  openUpload(id: UploadId, offset: number): Promise<UploadWriter | null>;

  /** Key of the bytes of an upload. Pure. */
  uploadKey(id: UploadId): StorageKey;

  /** Key that the upload's bytes get when they are committed as a blob. Pure. */
  blobKey(digest: Digest, id: UploadId): StorageKey;

  /**
   * Moves the bytes of an upload, which must be durable, to `key`. When it resolves they survive a power cut
   * there. Repeatable after a crash: resolves when the upload is gone and the object is at `key`.
   * @throws UploadLost when neither holds `size` bytes; SyncFailed
   */
  commitUpload(id: UploadId, key: StorageKey, size: number): Promise<void>;

  /** The object at `key`, or null. */
  open(key: StorageKey): Promise<StoredObject | null>;

  /** Deletes the object at `key`; resolves too when there is none. */
  delete(key: StorageKey): Promise<void>;

  /** Every key of the store, uploads included, in no order. */
  list(): AsyncIterable<StorageKey>;

  /** What a listed key belongs to; null for what this registry did not write. Pure. */
  identify(key: StorageKey): ObjectIdentity | null;
}

export type ObjectIdentity =
  { readonly kind: "upload"; readonly id: UploadId } | { readonly kind: "blob"; readonly digest: Digest };

/** Disposing a writer drops what was written and not synced. */
export interface UploadWriter extends AsyncDisposable {
  /** Takes over `chunk`, which is empty afterwards; resolves when the next may come, which holds the sender back. */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Resolves when everything written survives a power cut.
   * @throws SyncFailed when nobody knows any more what is durable: discard the upload
   */
  sync(): Promise<void>;
}

export interface StoredObject {
  /** Bytes. */
  readonly size: number;
  /** The object or a part of it as the body of an answer. Nothing is read before the body is. */
  body(range?: ByteRange): ObjectBody;
}

/** A Blob where the platform can send the bytes without reading them (sendfile), else a stream. */
export type ObjectBody = Blob | ReadableStream<Uint8Array>;

/** The bytes of an upload are not what was acknowledged: the client must start over. */
export class UploadLost extends Error {}

/** A sync failed. It must not be tried again: the next one may succeed without what the first one lost. */
export class SyncFailed extends Error {}
