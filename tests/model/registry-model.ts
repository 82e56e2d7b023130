import { expect } from "bun:test";
import { join } from "node:path";
import { FilesystemBlobStore } from "@stowage/server/blobstore/filesystem/filesystem-blob-store";
import { blobOf, imageOf, seededBytes, type TestBlob, type TestImage } from "../support/content.ts";
import { Random } from "../support/random.ts";
import { TestApp } from "../support/test-app.ts";

const REPOSITORIES = ["a", "a/b", "team/app"];
const TAGS = ["v1", "v2", "latest"];

/** Longer than every lease, undo time and upload session, in milliseconds. */
const LONG_TIME_MS = 8 * 24 * 3_600_000;

/** What the model believes of one repository. */
interface RepositoryState {
  readonly blobs: Set<string>;
  readonly manifests: Map<string, TestImage>;
  readonly tags: Map<string, string>;
}

interface OpenUpload {
  readonly repository: string;
  readonly location: string;
  readonly blob: TestBlob;
  offset: number;
}

/**
 * Random operations on a real registry (SQLite and files), each compared with what a few maps say. Now and then
 * the registry is closed and opened again on the same folder.
 */
export class RegistryModel implements AsyncDisposable {
  acknowledged = 0;
  readonly #folder: string;
  readonly #random: Random;
  readonly #blobs: readonly TestBlob[];
  readonly #images: readonly TestImage[];
  readonly #state = new Map<string, RepositoryState>();
  #uploads: OpenUpload[] = [];
  #app: TestApp;

  private constructor(folder: string, seed: number, app: TestApp) {
    this.#folder = folder;
    this.#app = app;
    this.#random = new Random(seed);
    this.#blobs = Array.from({ length: 8 }, (_, at) => blobOf(seededBytes(at * at * 900, seed + at)));
    this.#images = this.#blobs.flatMap((blob, at) => [
      imageOf([blob]),
      imageOf([blob, this.#blobs[(at + 1) % 8] ?? blob], { annotations: { at: String(at) } }),
    ]);
    for (const name of REPOSITORIES) {
      this.#state.set(name, { blobs: new Set(), manifests: new Map(), tags: new Map() });
    }
  }

  static async open(folder: string, seed: number): Promise<RegistryModel> {
    return new RegistryModel(folder, seed, await openApp(folder));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#app[Symbol.asyncDispose]();
  }

  /** One random operation. */
  async step(): Promise<void> {
    const repository = this.#random.pick(REPOSITORIES);
    switch (this.#random.below(13)) {
      case 0:
      case 1:
        return await this.#pushBlob(repository);
      case 2:
        return await this.#startUpload(repository);
      case 3:
      case 4:
        return await this.#continueUpload();
      case 5:
        return await this.#mount(repository);
      case 6:
      case 7:
        return await this.#pushManifest(repository);
      case 8:
        return await this.#deleteTag(repository);
      case 9:
        return await this.#deleteManifest(repository);
      case 10:
        return await this.#deleteBlob(repository);
      case 11:
        if (this.#random.below(4) === 0) await this.#passTime();
        return;
      default:
        if (this.#random.below(10) === 0) await this.#restart();
        await this.#verify(repository);
    }
  }

  async verifyEverything(): Promise<void> {
    await this.#restart();
    for (const repository of REPOSITORIES) await this.#verify(repository);
    const listed = REPOSITORIES.filter((name) => this.#of(name).manifests.size > 0).toSorted();
    const catalog = await this.#app.request("GET", "/v2/_catalog");
    expect(await catalog.json()).toEqual({ repositories: listed });
  }

  #of(repository: string): RepositoryState {
    const state = this.#state.get(repository);
    if (state === undefined) throw new Error(`no state of ${repository}`);
    return state;
  }

  async #pushBlob(repository: string): Promise<void> {
    const image = this.#random.pick(this.#images);
    const blob = this.#random.pick([image.config, ...image.layers]);
    expect((await this.#app.pushBlob(repository, blob)).status).toBe(201);
    this.#of(repository).blobs.add(blob.digest);
    this.acknowledged += 1;
  }

  async #startUpload(repository: string): Promise<void> {
    const response = await this.#app.request("POST", `/v2/${repository}/blobs/uploads/`);
    expect(response.status).toBe(202);
    const location = response.headers.get("Location") ?? "";
    this.#uploads.push({ repository, location, blob: this.#random.pick(this.#blobs), offset: 0 });
  }

  async #continueUpload(): Promise<void> {
    if (this.#uploads.length === 0) return;
    const upload = this.#random.pick(this.#uploads);
    const { blob, location, repository } = upload;
    const end = Math.min(blob.bytes.byteLength, upload.offset + 1 + this.#random.below(20_000));
    if (end < blob.bytes.byteLength || (end > upload.offset && this.#random.below(2) === 0)) {
      const headers = { "Content-Range": `${upload.offset}-${end - 1}` };
      const body = blob.bytes.slice(upload.offset, end);
      expect((await this.#app.request("PATCH", location, { headers, body })).status).toBe(202);
      upload.offset = end;
      return;
    }
    this.#uploads = this.#uploads.filter((other) => other !== upload);
    if (this.#random.below(6) === 0) {
      expect((await this.#app.request("DELETE", location)).status).toBe(204);
      return;
    }
    const rest = blob.bytes.slice(upload.offset);
    const parts = rest.byteLength === 0 ? {} : { body: rest };
    const response = await this.#app.request("PUT", `${location}?digest=${blob.digest}`, parts);
    expect(response.status).toBe(201);
    this.#of(repository).blobs.add(blob.digest);
    this.acknowledged += 1;
  }

  async #mount(repository: string): Promise<void> {
    const from = this.#random.pick(REPOSITORIES);
    const { digest } = this.#random.pick(this.#blobs);
    const response = await this.#app.request(
      "POST",
      `/v2/${repository}/blobs/uploads/?mount=${digest}&from=${from}`,
    );
    const isThere = this.#of(from).blobs.has(digest);
    expect(response.status).toBe(isThere ? 201 : 202);
    if (isThere) this.#of(repository).blobs.add(digest);
  }

  async #pushManifest(repository: string): Promise<void> {
    const state = this.#of(repository);
    const image = this.#random.pick(this.#images);
    const tag = this.#random.pick(TAGS);
    const isComplete = [image.config, ...image.layers].every((blob) => state.blobs.has(blob.digest));
    const response = await this.#app.pushManifest(repository, tag, image);
    expect(response.status).toBe(isComplete ? 201 : 400);
    if (!isComplete) return;
    state.manifests.set(image.manifest.digest, image);
    state.tags.set(tag, image.manifest.digest);
    this.acknowledged += 1;
  }

  async #deleteTag(repository: string): Promise<void> {
    const tag = this.#random.pick(TAGS);
    const response = await this.#app.request("DELETE", `/v2/${repository}/manifests/${tag}`);
    expect(response.status).toBe(this.#of(repository).tags.delete(tag) ? 202 : 404);
  }

  async #deleteManifest(repository: string): Promise<void> {
    const state = this.#of(repository);
    const { digest } = this.#random.pick(this.#images).manifest;
    const response = await this.#app.request("DELETE", `/v2/${repository}/manifests/${digest}`);
    expect(response.status).toBe(state.manifests.has(digest) ? 202 : 404);
    if (response.status === 202 && this.#random.below(3) === 0) return await this.#undoLast();
    state.manifests.delete(digest);
    for (const [tag, target] of state.tags) if (target === digest) state.tags.delete(tag);
  }

  /** The model has not seen the deletion, so it must not have happened. */
  async #undoLast(): Promise<void> {
    const { deletions } = this.#app.metadata;
    const [last] = await deletions.list({ before: null, entriesMax: 1 });
    expect(await deletions.undo(last?.id ?? 0)).toEqual({ kind: "undone", skipped: [] });
  }

  /** After a long time and a collection exactly that is left which manifests need. */
  async #passTime(): Promise<void> {
    this.#app.clockAhead += LONG_TIME_MS;
    await this.#app.collect();
    this.#app.clockAhead += LONG_TIME_MS;
    await this.#app.collect();
    this.#uploads = [];
    const needed = new Set<string>();
    for (const { blobs, manifests } of this.#state.values()) {
      const images = [...manifests.values()];
      blobs.clear();
      for (const blob of images.flatMap((image) => [image.config, ...image.layers])) blobs.add(blob.digest);
      for (const digest of blobs) needed.add(digest);
    }
    const keys = await Array.fromAsync(this.#app.store.list());
    expect(keys.length).toBe(needed.size);
  }

  async #deleteBlob(repository: string): Promise<void> {
    const state = this.#of(repository);
    const { digest } = this.#random.pick(this.#blobs);
    const isUsed = [...state.manifests.values()].some((image) =>
      [image.config, ...image.layers].some((blob) => blob.digest === digest),
    );
    const response = await this.#app.request("DELETE", `/v2/${repository}/blobs/${digest}`);
    expect(response.status).toBe(!state.blobs.has(digest) ? 404 : isUsed ? 405 : 202);
    if (!isUsed) state.blobs.delete(digest);
  }

  async #restart(): Promise<void> {
    const { clockAhead } = this.#app;
    await this.#app[Symbol.asyncDispose]();
    this.#app = await openApp(this.#folder);
    this.#app.clockAhead = clockAhead;
    for (const { location, offset } of this.#uploads) {
      const response = await this.#app.request("GET", location);
      expect(response.headers.get("Range")).toBe(`0-${Math.max(0, offset - 1)}`);
    }
  }

  async #verify(repository: string): Promise<void> {
    const state = this.#of(repository);
    for (const image of this.#images) {
      for (const blob of [image.config, ...image.layers]) {
        const response = await this.#app.request("GET", `/v2/${repository}/blobs/${blob.digest}`);
        expect(response.status).toBe(state.blobs.has(blob.digest) ? 200 : 404);
        if (response.status === 200)
          expect(Buffer.from(await response.bytes()).equals(blob.bytes)).toBe(true);
      }
      const { digest, bytes } = image.manifest;
      const response = await this.#app.request("GET", `/v2/${repository}/manifests/${digest}`);
      expect(response.status).toBe(state.manifests.has(digest) ? 200 : 404);
      if (response.status === 200) expect(Buffer.from(await response.bytes()).equals(bytes)).toBe(true);
    }
    for (const tag of TAGS) {
      const response = await this.#app.request("HEAD", `/v2/${repository}/manifests/${tag}`);
      expect(response.headers.get("Docker-Content-Digest")).toBe(state.tags.get(tag) ?? null);
    }
    const tags = await this.#app.request("GET", `/v2/${repository}/tags/list`);
    if (tags.status === 404) expect(state.blobs.size).toBe(0);
    else expect(await tags.json()).toEqual({ name: repository, tags: [...state.tags.keys()].toSorted() });
  }
}

async function openApp(folder: string): Promise<TestApp> {
  const store = await FilesystemBlobStore.open(folder);
  return new TestApp({ store, databasePath: join(folder, "stowage.sqlite") });
}
