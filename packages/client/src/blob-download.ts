import { algorithmOf } from "@stowage/oci/digest";
import { ClientError, type ClientErrorDetails, type ClientErrorKind } from "./client-error.ts";
import type { ApiRequest, Connection } from "./connection.ts";
import type { BlobRef } from "./content.ts";
import { createHasher, type Hasher } from "./hasher.ts";
import { backoffMs } from "./wait.ts";

/** A body that brings nothing for that long has broken off, in milliseconds. */
const STALL_MS_MAX = 60_000;

export interface Download {
  readonly connection: Connection;
  readonly request: ApiRequest;
  readonly blob: BlobRef;
  readonly offset: number;
}

/**
 * A blob's bytes from `offset` on; null when the registry does not have it. A connection that breaks is taken up again where
 * it broke. From 0 on the stream ends only when size and digest are right; later ones check the size alone.
 */
export async function openBlob(download: Download): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | null> {
  const response = await ask(download, download.offset);
  if (response === null) return null;
  const reading = new BlobReading(download, response);
  // What nobody asked for yet is not read ahead.
  return new ReadableStream(reading, { highWaterMark: 0 });
}

/** Asks for the blob from an offset on; null when there is none. A blob of no bytes has no range. */
async function ask({ connection, request }: Download, offset: number): Promise<Response | null> {
  const headers: Record<string, string> = offset === 0 ? {} : { Range: `bytes=${offset}-` };
  const response = await connection.send({ ...request, headers, expected: [404] });
  if (response.status !== 404) return response;
  await response.body?.cancel();
  return null;
}

type Reader = Pick<ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>, "read" | "cancel">;

/** One object and one read for each piece: a layer of a gigabyte comes in ten thousand of them. */
class BlobReading {
  readonly #download: Download;
  readonly #hasher: Hasher | null;
  #reader: Reader;
  #at: number;
  /** Bytes to leave out: a server that does not know ranges sends the blob from 0, and one may send more than was asked for. */
  #skip = 0;
  #failures = 0;

  constructor(download: Download, response: Response) {
    this.#download = download;
    this.#hasher = download.offset === 0 ? createHasher(algorithmOf(download.blob.digest)) : null;
    this.#at = download.offset;
    this.#reader = this.#begin(response);
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> {
    const { size } = this.#download.blob;
    for (;;) {
      const piece = await this.#next();
      if (piece === null) {
        this.#requireDigest();
        return controller.close();
      }
      const rest = piece.subarray(this.#skip);
      this.#skip -= piece.byteLength - rest.byteLength;
      if (rest.byteLength === 0) continue;
      this.#at += rest.byteLength;
      if (this.#at > size) {
        await this.cancel();
        throw this.#error("mismatch", `more than the ${size} bytes came`, { wanted: size });
      }
      this.#hasher?.update(rest);
      return controller.enqueue(rest);
    }
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel().catch(() => undefined);
  }

  /** Which part came is what the answer says (RFC 9110 section 14.4); browsers do not always show it. */
  #begin({ body, status, headers }: Response): Reader {
    const said = Number(/^bytes (\d+)/.exec(headers.get("Content-Range") ?? "")?.[1] ?? this.#at);
    this.#skip = this.#at - (status === 206 ? said : 0);
    const reader = (body ?? new Blob().stream()).getReader();
    if (this.#skip >= 0) return reader;
    void reader.cancel();
    throw this.#error("server", `byte ${said} came; wanted ${this.#at}`);
  }

  /** The next piece, or null at the blob's end; takes a broken connection up again. */
  async #next(): Promise<Uint8Array<ArrayBuffer> | null> {
    const { connection, blob, request } = this.#download;
    for (;;) {
      let cause: unknown;
      // The read that waits ends with it, as if the body had.
      const timer = setTimeout(() => void this.cancel(), STALL_MS_MAX);
      try {
        const { done, value } = await this.#reader.read();
        if (!done) {
          // Bytes that are left out are no progress: a server without ranges that always breaks off early would never end.
          if (value.byteLength > this.#skip) this.#failures = 0;
          return value;
        }
        if (this.#at === blob.size) return null;
      } catch (error) {
        request.signal?.throwIfAborted();
        cause = error;
      } finally {
        clearTimeout(timer);
      }
      this.#failures += 1;
      if (this.#failures > connection.retriesMax) {
        throw this.#error("network", `the connection broke at byte ${this.#at} of ${blob.size}`, { cause });
      }
      await connection.clock.wait(backoffMs(this.#failures), request.signal);
      const response = await ask(this.#download, this.#at);
      if (response === null) throw this.#error("not-found", "the blob is gone");
      this.#reader = this.#begin(response);
    }
  }

  #requireDigest(): void {
    const wanted = this.#download.blob.digest;
    const got = this.#hasher?.digest() ?? wanted;
    if (got === wanted) return;
    throw this.#error("mismatch", `the bytes have the digest ${got}; wanted ${wanted}`, { wanted, got });
  }

  #error(kind: ClientErrorKind, why: string, details: ClientErrorDetails = {}): ClientError {
    return new ClientError(kind, why, { operation: this.#download.request.operation, ...details });
  }
}
