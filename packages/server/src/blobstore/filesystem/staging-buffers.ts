import { ptr } from "bun:ffi";

/** Bytes of a staging buffer: what one write hands to the disk. */
export const STAGING_BYTES = 512 * 1024;

/** What O_DIRECT asks of addresses, offsets and lengths. Every block size in use divides it. */
export const DIRECT_ALIGNMENT = 4096;

/** Buffers that are kept for the next upload. */
const FREE_BUFFERS_MAX = 8;

/** Buffers whose memory begins at an address that O_DIRECT accepts. */
export class StagingBuffers {
  readonly #free: Uint8Array[] = [];

  /** A buffer of STAGING_BYTES with any content. Who takes it gives it back. */
  take(): Uint8Array {
    return this.#free.pop() ?? allocateAligned();
  }

  give(buffer: Uint8Array): void {
    if (this.#free.length < FREE_BUFFERS_MAX) this.#free.push(buffer);
  }
}

function allocateAligned(): Uint8Array {
  const memory = new Uint8Array(STAGING_BYTES + DIRECT_ALIGNMENT);
  const start = (DIRECT_ALIGNMENT - (ptr(memory) % DIRECT_ALIGNMENT)) % DIRECT_ALIGNMENT;
  return memory.subarray(start, start + STAGING_BYTES);
}
