import { statfs } from "node:fs/promises";
import { RegistryError } from "@stowage/oci/errors";

/** Bytes of the disk that uploads leave free, so that deletions and the collector can always be written down. */
export const DISK_RESERVE_BYTES_MAX = 64 * 1024 * 1024;

/** The reserve of a small disk, as a part of its size. */
const DISK_RESERVE_PART = 0.02;

/** Stops uploads before the disk is full to the last byte: a full database could not even record a deletion. */
export class DiskReserve {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws RegistryError STORAGE_FULL when less than the reserve is free */
  async check(): Promise<void> {
    const { bavail, blocks, bsize } = await statfs(this.#path);
    const reserve = Math.min(DISK_RESERVE_BYTES_MAX, blocks * bsize * DISK_RESERVE_PART);
    if (bavail * bsize >= reserve) return;
    throw new RegistryError("STORAGE_FULL");
  }
}
