import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { randomUploadId, type UploadId } from "@stowage/oci/upload-id";
import { digestOf } from "../registry/running-digest.ts";
import { type BlobStore, type ObjectBody, type StorageKey, UploadLost } from "./blob-store.ts";

/** A store to test, and what its end must check or remove. */
export interface StoreUnderTest extends AsyncDisposable {
  readonly store: BlobStore;
}

const encode = (text: string) => new TextEncoder().encode(text);

const sha256 = (text: string) => digestOf(encode(text), "sha256");

async function read(body: ObjectBody): Promise<string> {
  return await new Response(body).text();
}

/** What every blob store must do. Each test ends with an empty store: a leftover fails it. */
export function testBlobStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`blob store: ${name}`, () => {
    let subject: StoreUnderTest;
    let store: BlobStore;
    let id: UploadId;
    let created: StorageKey[] = [];

    beforeEach(async () => {
      subject = await open();
      store = subject.store;
      id = randomUploadId();
      created = [store.uploadKey(id)];
    });

    afterEach(async () => {
      for (const key of created) await store.delete(key);
      const left = await Array.fromAsync(store.list());
      await subject[Symbol.asyncDispose]();
      expect(left).toEqual([]);
    });

    async function upload(text: string, offset = 0): Promise<void> {
      const writer = await store.openUpload(id, offset);
      if (writer === null) throw new Error(`upload has fewer than ${offset} bytes`);
      await using open = writer;
      await open.write(encode(text));
      await open.sync();
    }

    async function commit(text: string): Promise<StorageKey> {
      const key = store.blobKey(sha256(text), id);
      created.push(key);
      await store.commitUpload(id, key, text.length);
      return key;
    }

    test("a committed upload is read back whole and in ranges", async () => {
      await upload("hello world");
      const object = await store.open(await commit("hello world"));
      expect(object?.size).toBe(11);
      if (object === null) return;
      expect(await read(object.body())).toBe("hello world");
      expect(await read(object.body({ start: 0, end: 0 }))).toBe("h");
      expect(await read(object.body({ start: 6, end: 10 }))).toBe("world");
    });

    test("a listed key says what it belongs to, and a stranger's file says nothing", async () => {
      await upload("abc");
      expect(store.identify(store.uploadKey(id))).toEqual({ kind: "upload", id });
      const key = await commit("abc");
      expect(store.identify(key)).toEqual({ kind: "blob", digest: sha256("abc") });
      for (const stranger of ["uploads/.nfs0001", "blobs/sha256/lost+found", "stowage.sqlite", ""]) {
        expect(store.identify(stranger as StorageKey)).toBeNull();
      }
    });

    test("an empty upload becomes an empty object", async () => {
      await upload("");
      const object = await store.open(await commit(""));
      expect(object?.size).toBe(0);
      expect(object === null ? null : await read(object.body())).toBe("");
    });

    test("an upload goes on where it was synced", async () => {
      await upload("hello ");
      await upload("world", 6);
      const object = await store.open(await commit("hello world"));
      expect(object === null ? null : await read(object.body())).toBe("hello world");
    });

    test("opening an upload drops the bytes behind the offset", async () => {
      await upload("hello XXXXXXXXXX");
      await upload("world", 6);
      const object = await store.open(store.uploadKey(id));
      expect(object === null ? null : await read(object.body())).toBe("hello world");
    });

    test("a writer that is disposed drops what was not synced", async () => {
      await upload("hello");
      const writer = await store.openUpload(id, 5);
      if (writer === null) throw new Error("no writer");
      {
        await using open = writer;
        for (let at = 0; at < 40; at++) await open.write(encode("x".repeat(100_000)));
      }
      expect((await store.open(store.uploadKey(id)))?.size).toBe(5);
    });

    test("opening an upload behind its end gives null", async () => {
      expect(await store.openUpload(id, 1)).toBeNull();
      await upload("abc");
      expect(await store.openUpload(id, 4)).toBeNull();
    });

    test("an upload of many small and some large pieces keeps their order", async () => {
      const pieces = Array.from({ length: 3_000 }, (_, at) =>
        at % 700 === 0 ? "x".repeat(600_000) : `${at},`,
      );
      const writer = await store.openUpload(id, 0);
      if (writer === null) throw new Error("no writer");
      {
        await using open = writer;
        for (const piece of pieces) await open.write(encode(piece));
        await open.sync();
      }
      const object = await store.open(store.uploadKey(id));
      const text = object === null ? "" : await read(object.body());
      expect(sha256(text)).toBe(sha256(pieces.join("")));
    });

    test("a commit can be repeated", async () => {
      await upload("abc");
      const key = await commit("abc");
      await store.commitUpload(id, key, 3);
      expect((await store.open(key))?.size).toBe(3);
      expect(await store.open(store.uploadKey(id))).toBeNull();
    });

    test("a commit of bytes that are not there, or too few, is refused", async () => {
      const key = store.blobKey(sha256("abc"), id);
      expect(store.commitUpload(id, key, 3)).rejects.toBeInstanceOf(UploadLost);
      await upload("ab");
      expect(store.commitUpload(id, key, 3)).rejects.toBeInstanceOf(UploadLost);
      expect(await store.open(key)).toBeNull();
    });

    test("two uploads of one digest get keys of their own", async () => {
      expect(store.blobKey(sha256("abc"), id)).not.toBe(store.blobKey(sha256("abc"), randomUploadId()));
    });

    test("an absent object is null, and deleting it is no error", async () => {
      const key = store.blobKey(sha256("absent"), id);
      expect(await store.open(key)).toBeNull();
      await store.delete(key);
    });

    test("an object that is being read survives its deletion", async () => {
      const text = "y".repeat(3_000_000);
      await upload(text);
      const key = await commit(text);
      const object = await store.open(key);
      if (object === null) throw new Error("absent");
      const reader = new Response(object.body()).body?.getReader();
      const first = await reader?.read();
      await store.delete(key);
      let bytes = first?.value?.byteLength ?? 0;
      for (;;) {
        const next = await reader?.read();
        if (next === undefined || next.done) break;
        bytes += next.value.byteLength;
      }
      expect(bytes).toBe(text.length);
    });

    test("list names uploads and blobs", async () => {
      await upload("abc");
      expect(await Array.fromAsync(store.list())).toEqual([store.uploadKey(id)]);
      const key = await commit("abc");
      expect(await Array.fromAsync(store.list())).toEqual([key]);
    });
  });
}
