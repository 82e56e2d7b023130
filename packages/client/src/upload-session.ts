import type { Digest, DigestAlgorithm } from "@stowage/oci/digest";
import type { TokenScope } from "@stowage/oci/token-scope";
import { ClientError } from "./client-error.ts";
import type { Connection, RequestBody } from "./connection.ts";
import type { IoOptions } from "./content.ts";

export interface UploadPlace {
  readonly connection: Connection;
  /** `/v2/<name>/blobs/uploads/` */
  readonly path: string;
  readonly scopes: readonly TokenScope[];
  readonly operation: string;
}

export interface StartOptions extends IoOptions {
  /** Of the digest that the upload will end with; registries that do not know the parameter find out at its end. */
  readonly algorithm?: DigestAlgorithm;
}

/** Bytes of a chunk; a stream says how many they are, when that is known. */
export type ChunkBody =
  | Uint8Array<ArrayBuffer>
  | { readonly open: () => Promise<ReadableStream<Uint8Array>>; readonly size: number | null };

/**
 * An upload that has begun (OCI Distribution Specification, "Pushing a blob in chunks"). Its address changes with each answer.
 * Ends with `finish` or `cancel`; what is left lying the registry ends by itself.
 */
export class UploadSession {
  readonly #place: UploadPlace;
  #location: URL;
  #offset = 0;
  /** Least bytes of a chunk that is not the last (`OCI-Chunk-Min-Length`). */
  readonly chunkBytesMin: number;

  constructor(place: UploadPlace, response: Response) {
    this.#place = place;
    this.#location = locationOf(place, response, place.path);
    this.chunkBytesMin = Number(response.headers.get("OCI-Chunk-Min-Length") ?? 0) || 0;
  }

  /** Bytes that the registry has acknowledged. */
  get offset(): number {
    return this.#offset;
  }

  /** Sends the next bytes. @throws ClientError; after a broken connection `recover` says how far it came */
  async append(chunk: ChunkBody, { signal }: IoOptions = {}): Promise<void> {
    const body = bodyOf(chunk);
    const size = body.kind === "bytes" ? body.bytes.byteLength : body.size;
    const headers =
      size === null || size === 0 ? {} : { "Content-Range": `${this.#offset}-${this.#offset + size - 1}` };
    const response = await this.#place.connection.send({
      ...this.#request(signal),
      method: "PATCH",
      headers,
      body,
    });
    this.#follow(response);
    this.#offset = offsetOf(response) ?? this.#offset + (size ?? 0);
  }

  /** Ends the upload; `last` are its last bytes, or all of them. @throws ClientError, kind `mismatch` when they are not the digest's */
  async finish(digest: Digest, last: ChunkBody | null = null, { signal }: IoOptions = {}): Promise<void> {
    const target = new URL(this.#location);
    target.searchParams.set("digest", digest);
    const body = bodyOf(last ?? new Uint8Array());
    const { connection } = this.#place;
    const response = await connection.send({
      ...this.#request(signal),
      target,
      method: "PUT",
      body,
    });
    await response.body?.cancel();
  }

  /** Asks how many bytes arrived, and goes on from there; null: the upload is gone. */
  async recover({ signal }: IoOptions = {}): Promise<number | null> {
    const response = await this.#place.connection.send({
      ...this.#request(signal),
      method: "GET",
      expected: [404],
    });
    if (response.status === 404) {
      await response.body?.cancel();
      return null;
    }
    this.#follow(response);
    this.#offset = offsetOf(response) ?? 0;
    return this.#offset;
  }

  /** Gives the upload up; that it is gone already is no error. */
  async cancel({ signal }: IoOptions = {}): Promise<void> {
    const response = await this.#place.connection.send({
      ...this.#request(signal),
      method: "DELETE",
      expected: [404, 405],
    });
    await response.body?.cancel();
  }

  #request(signal: AbortSignal | undefined) {
    const { scopes, operation } = this.#place;
    return { target: this.#location, scopes, operation, signal };
  }

  #follow(response: Response): void {
    this.#location = locationOf(this.#place, response, this.#location);
    void response.body?.cancel();
  }
}

/** Opens a session. @throws ClientError */
export async function startUpload(
  place: UploadPlace,
  { algorithm, signal }: StartOptions = {},
): Promise<UploadSession> {
  const query = algorithm === undefined || algorithm === "sha256" ? "" : `?digest-algorithm=${algorithm}`;
  return new UploadSession(place, await askForUpload(place, { query, signal }));
}

/** The POST that opens a session, or mounts. @throws ClientError */
export async function askForUpload(
  { connection, path, scopes, operation }: UploadPlace,
  { query, signal }: IoOptions & { readonly query: string },
): Promise<Response> {
  const response = await connection.send({
    method: "POST",
    target: path + query,
    scopes,
    operation,
    body: bodyOf(new Uint8Array()),
    signal,
  });
  await response.body?.cancel();
  return response;
}

function bodyOf(chunk: ChunkBody): RequestBody {
  return chunk instanceof Uint8Array
    ? { kind: "bytes", bytes: chunk, mediaType: "application/octet-stream" }
    : { kind: "stream", ...chunk };
}

function locationOf({ connection, operation }: UploadPlace, response: Response, base: string | URL): URL {
  const location = response.headers.get("Location");
  if (location !== null) return connection.resolve(location, base);
  if (base instanceof URL) return base;
  throw new ClientError("server", `no Location came for the upload`, {
    operation,
  });
}

/** `0-<last byte>`; `0-0` is an upload of no bytes, or of one: then asking again costs less than a wrong guess. */
function offsetOf(response: Response): number | null {
  const match = /^(?:bytes=)?0-(\d{1,15})$/.exec(response.headers.get("Range") ?? "");
  if (match === null) return null;
  const last = Number(match[1]);
  return last === 0 ? 0 : last + 1;
}
