import { RegistryError } from "@stowage/oci/errors";
import type { Connection } from "./exchange.ts";
import { PaceMeter } from "./upload-pace.ts";

/** How long and how much of a refused body is read on, in milliseconds and bytes. */
const DRAIN_MS_MAX = 30_000;
const DRAIN_BYTES_MAX = 4 * 1024 ** 3;

/** The idle timeout is set anew at most this often, in milliseconds: it costs a call into the server. */
const REARM_INTERVAL_MS = 1_000;

/**
 * The request's body, piece by piece. The server's own idle timeout does not see that bytes arrive, so pieces
 * re-arm it, as long as they keep the pace; when the body is complete it is lifted, because what follows (a sync)
 * may take its time.
 * @throws RegistryError BLOB_UPLOAD_INVALID when the client is slower than `connection.uploadPace`
 */
export async function* streamBody(
  request: Request,
  connection: Connection,
): AsyncGenerator<Uint8Array, void, void> {
  if (request.body === null) return;
  const { uploadPace } = connection;
  const meter = new PaceMeter(uploadPace);
  let armedAt = performance.now();
  let waitingSince = armedAt;
  connection.setIdleTimeout(uploadPace.stallSeconds);
  for await (const piece of request.body) {
    const now = performance.now();
    const inPace = meter.note(now - waitingSince, piece.byteLength);
    if (now - armedAt > REARM_INTERVAL_MS) {
      armedAt = now;
      connection.setIdleTimeout(uploadPace.stallSeconds);
    }
    // First the piece: everything that arrived is kept.
    yield piece;
    if (!inPace) throw tooSlow(uploadPace.bytesPerSecondMin);
    waitingSince = performance.now();
  }
  connection.setIdleTimeout(0);
}

/** The connection ends with it: nobody waits for the rest of such a body. */
function tooSlow(bytesPerSecondMin: number): RegistryError {
  return new RegistryError("BLOB_UPLOAD_INVALID", {
    message: `the upload is slower than ${bytesPerSecondMin} bytes per second: ask for its offset and go on with PATCH`,
    headers: { Connection: "close" },
  });
}

/**
 * Runs `work` on the pieces of a body. When it says DENIED in their middle, the others are read and dropped before that is
 * answered: the server closes the connection with its answer, and a client that is still sending then sees a broken pipe
 * instead of the reason, and tries again.
 */
export async function readOnWhenDenied<T>(
  body: AsyncIterable<Uint8Array> | null,
  work: () => Promise<T>,
): Promise<T> {
  return await readOnWhen(({ code }) => code === "DENIED", body, work);
}

/** The same for whatever it refuses, for bodies that are judged by what is in them. */
export async function readOnWhenRefused<T>(
  body: AsyncIterable<Uint8Array>,
  work: () => Promise<T>,
): Promise<T> {
  return await readOnWhen(({ status }) => status < 500, body, work);
}

async function readOnWhen<T>(
  isReadOn: (error: RegistryError) => boolean,
  body: AsyncIterable<Uint8Array> | null,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (body !== null && error instanceof RegistryError && isReadOn(error)) await drain(body);
    throw error;
  }
}

async function drain(body: AsyncIterable<Uint8Array>): Promise<void> {
  const until = performance.now() + DRAIN_MS_MAX;
  let bytes = 0;
  try {
    for await (const piece of body) {
      bytes += piece.byteLength;
      if (bytes > DRAIN_BYTES_MAX || performance.now() > until) return;
    }
  } catch {
    // The client has gone away: nobody reads the answer.
  }
}

export interface BodyLimits {
  /** Longest body, in bytes. */
  readonly bytesMax: number;
  /** What a body is that ends early. */
  readonly invalid: "MANIFEST_INVALID" | "REQUEST_INVALID";
}

/**
 * A whole small body.
 * @throws RegistryError SIZE_INVALID as soon as it is known to be longer than `bytesMax`; `invalid` when it ends early
 */
export async function readBody(request: Request, { bytesMax, invalid }: BodyLimits): Promise<Uint8Array> {
  const declared = Number(request.headers.get("Content-Length") ?? 0);
  if (declared > bytesMax) throw tooLarge(bytesMax);
  if (request.body === null) return new Uint8Array();
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of request.body) {
      bytes += piece.byteLength;
      if (bytes > bytesMax) break;
      pieces.push(piece);
    }
  } catch (cause) {
    throw new RegistryError(invalid, {
      message: "the request body ended before it was complete",
      cause,
    });
  }
  if (bytes > bytesMax) throw tooLarge(bytesMax);
  return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
}

function tooLarge(bytesMax: number): RegistryError {
  return new RegistryError("SIZE_INVALID", { message: `the request body is larger than ${bytesMax} bytes` });
}
