import type { Digest } from "@stowage/oci/digest";
import { digestOf, type TestBlob, type TestImage } from "../support/content.ts";

/** Loops are short in the test command and long on request. */
export const LONG = process.env.STOWAGE_LONG === "1";

/** Requests of the verifier that are under way at once. */
const VERIFY_PARALLEL_MAX = 8;

/** Figures of a run, for whoever reads its output. */
export function say(line: string): void {
  process.stdout.write(`    ${line}\n`);
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

/** An answer that arrived completely, or null: the server is gone, or went in the middle. */
export async function send(url: string, init: RequestInit = {}): Promise<Answer | null> {
  try {
    // A connection of its own: one that is kept would belong to a server that was killed since.
    const response = await fetch(url, { ...init, keepalive: false });
    return { status: response.status, headers: response.headers, bytes: await response.bytes() };
  } catch {
    return null;
  }
}

/** What was acknowledged, by path. It must be true after whatever happens to the server. */
export class Ledger {
  /** Blobs that were answered with 201. */
  readonly blobs = new Map<string, Digest>();
  /** Tags and manifests that were answered with 201; more than one digest while a new one is under way. */
  readonly manifests = new Map<string, Set<Digest>>();
  /** Manifests whose deletion was answered with 202. */
  readonly gone = new Set<string>();
  /** Bytes of open sessions that were answered with 202. */
  readonly sessions = new Map<string, number>();
  /** Answers that say no, as "PUT 500". */
  readonly refusals: string[] = [];
  #count = 0;
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  get count(): number {
    return this.#count;
  }

  copy(): Ledger {
    const copy = new Ledger();
    copy.take(this);
    return copy;
  }

  /** Takes over the promises of another one. */
  take(other: Ledger): void {
    for (const [path, digest] of other.blobs) this.blobs.set(path, digest);
    for (const [path, digests] of other.manifests) this.manifests.set(path, new Set(digests));
    for (const path of other.gone) this.gone.add(path);
    for (const [path, offset] of other.sessions) this.sessions.set(path, offset);
  }

  /** Resolves when `count` requests were acknowledged. */
  reaches(count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ count, resolve });
    return promise;
  }

  acknowledge(): void {
    this.#count++;
    for (const { count, resolve } of this.#waiting) if (this.#count >= count) resolve();
  }
}

export interface ServerAddress {
  readonly url: string;
}

/** A small push client for one repository that writes down what it was promised. */
export class Client {
  readonly #server: ServerAddress;
  readonly #base: string;
  readonly ledger: Ledger;

  constructor(server: ServerAddress, repository: string, ledger: Ledger) {
    this.#server = server;
    this.#base = `/v2/${repository}`;
    this.ledger = ledger;
  }

  async post(): Promise<Answer | null> {
    return await this.#request("POST", `${this.#base}/blobs/uploads/`);
  }

  /** The path of the new session, or null. */
  async startUpload(): Promise<string | null> {
    return sessionOf(await this.post());
  }

  async patch(session: string, bytes: Uint8Array<ArrayBuffer>): Promise<Answer | null> {
    const answer = await this.#request("PATCH", session, { body: bytes });
    if (answer?.status === 202) this.ledger.sessions.set(session, offsetOf(answer));
    // Without space the server may end the session; the promise was about crashes.
    if (answer?.status === 507) this.ledger.sessions.delete(session);
    return answer;
  }

  /** Bytes that an open session has, or null: there is none. */
  async offset(session: string): Promise<number | null> {
    const answer = await this.get(session);
    return answer?.status === 204 ? offsetOf(answer) : null;
  }

  /** `body` is what is still missing, if anything is. */
  async finish(session: string, digest: Digest, body?: Uint8Array<ArrayBuffer>): Promise<Answer | null> {
    this.ledger.sessions.delete(session);
    const init = body === undefined ? {} : { body };
    const answer = await this.#request("PUT", `${session}?digest=${digest}`, init);
    if (answer?.status === 201) this.ledger.blobs.set(this.blobPath(digest), digest);
    return answer;
  }

  async cancel(session: string): Promise<Answer | null> {
    this.ledger.sessions.delete(session);
    return await this.#request("DELETE", session);
  }

  async putManifest(image: TestImage, tag: string): Promise<Answer | null> {
    const { bytes, digest } = image.manifest;
    const paths = [this.manifestPath(tag), this.manifestPath(digest)];
    for (const path of paths) {
      this.ledger.gone.delete(path);
      this.ledger.manifests.get(path)?.add(digest);
    }
    const headers = { "Content-Type": image.mediaType };
    const answer = await this.#request("PUT", this.manifestPath(tag), { headers, body: bytes });
    if (answer?.status === 201) for (const path of paths) this.ledger.manifests.set(path, new Set([digest]));
    return answer;
  }

  async deleteManifest(image: TestImage, tag: string): Promise<Answer | null> {
    const paths = [this.manifestPath(tag), this.manifestPath(image.manifest.digest)];
    for (const path of paths) this.ledger.manifests.delete(path);
    const answer = await this.#request("DELETE", this.manifestPath(image.manifest.digest));
    if (answer?.status === 202) for (const path of paths) this.ledger.gone.add(path);
    return answer;
  }

  async deleteBlob(digest: Digest): Promise<Answer | null> {
    this.ledger.blobs.delete(this.blobPath(digest));
    return await this.#request("DELETE", this.blobPath(digest));
  }

  /** In one PUT, or in two PATCHes and a PUT. */
  async pushBlob(blob: TestBlob, inChunks = false): Promise<boolean> {
    const session = await this.startUpload();
    if (session === null) return false;
    if (!inChunks) return (await this.finish(session, blob.digest, blob.bytes))?.status === 201;
    const half = Math.ceil(blob.bytes.byteLength / 2);
    if ((await this.patch(session, blob.bytes.slice(0, half)))?.status !== 202) return false;
    if ((await this.patch(session, blob.bytes.slice(half)))?.status !== 202) return false;
    return (await this.finish(session, blob.digest))?.status === 201;
  }

  /** Whether everything was acknowledged. */
  async pushImage(image: TestImage, tag: string): Promise<boolean> {
    for (const [at, blob] of [...image.layers, image.config].entries()) {
      if (!(await this.pushBlob(blob, at % 2 === 0))) return false;
    }
    return (await this.putManifest(image, tag))?.status === 201;
  }

  blobPath(digest: Digest): string {
    return `${this.#base}/blobs/${digest}`;
  }

  manifestPath(reference: string): string {
    return `${this.#base}/manifests/${reference}`;
  }

  /** Whoever knows the path reads it, without writing anything down. */
  async get(path: string): Promise<Answer | null> {
    return await send(this.#server.url + path);
  }

  async #request(method: string, path: string, init: RequestInit = {}): Promise<Answer | null> {
    const answer = await send(this.#server.url + path, { ...init, method });
    if (answer !== null && answer.status < 300) this.ledger.acknowledge();
    else if (answer !== null) this.ledger.refusals.push(`${method} ${answer.status}`);
    return answer;
  }
}

/** The path of the session that a POST has opened, or null. */
export function sessionOf(answer: Answer | null): string | null {
  return answer?.status === 202 ? answer.headers.get("Location") : null;
}

/** Bytes of an upload session that the server says it has. */
export function offsetOf(answer: Answer): number {
  const last = /^0-(\d+)$/.exec(answer.headers.get("Range") ?? "")?.[1];
  return last === undefined || last === "0" ? 0 : Number(last) + 1;
}

/** Reads everything again that was acknowledged; each line says what is not as it was promised. */
export async function findBroken(server: ServerAddress, ledger: Ledger): Promise<readonly string[]> {
  const broken: string[] = [];
  async function check(path: string, isKept: (answer: Answer) => boolean): Promise<void> {
    const answer = await send(server.url + path);
    if (answer === null || !isKept(answer)) broken.push(`${path}: ${answer?.status ?? "no answer"}`);
  }
  const checks = [
    ...Array.from(
      ledger.blobs,
      ([path, digest]) =>
        () =>
          check(path, (answer) => isContent(answer, digest)),
    ),
    ...Array.from(ledger.manifests, ([path, digests]) => () => {
      return check(path, (answer) => [...digests].some((digest) => isContent(answer, digest)));
    }),
    ...Array.from(ledger.gone, (path) => () => check(path, ({ status }) => status === 404)),
    ...Array.from(ledger.sessions, ([path, offset]) => () => {
      return check(path, (answer) => answer.status === 204 && offsetOf(answer) >= offset);
    }),
  ];
  async function work(): Promise<void> {
    for (let next = checks.shift(); next !== undefined; next = checks.shift()) await next();
  }
  await Promise.all(Array.from({ length: VERIFY_PARALLEL_MAX }, work));
  return broken;
}

/** 200 with exactly the bytes of the digest. */
export function isContent(answer: Answer | null, digest: Digest): boolean {
  return answer?.status === 200 && digestOf(answer.bytes) === digest;
}
