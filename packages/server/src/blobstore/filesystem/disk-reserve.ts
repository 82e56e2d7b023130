import { statfs } from "node:fs/promises";
import { RegistryError } from "@stowage/oci/errors";

const MIB = 1024 * 1024;

/** Bytes of the disk that uploads leave free, so that deletions and the collector can always be written down. */
export const DISK_RESERVE_BYTES_MAX = 64 * MIB;

/** The reserve as a part of a smaller disk. */
const DISK_RESERVE_PART = 0.02;

/** What the database's log may need before its next checkpoint; a tiny disk gives a quarter of itself. */
const DISK_RESERVE_BYTES_MIN = 6 * MIB;
const DISK_RESERVE_PART_MAX = 0.25;

/** Stops uploads before the disk is full to the last byte: a full database could not even record a deletion. */
export class DiskReserve {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws RegistryError STORAGE_FULL when less than the reserve would be free after `bytes` more */
  async check(bytes: number): Promise<void> {
    const { bavail, blocks, bsize } = await statfs(this.#path);
    const disk = blocks * bsize;
    const reserveMin = Math.min(DISK_RESERVE_BYTES_MIN, disk * DISK_RESERVE_PART_MAX);
    const reserve = Math.min(DISK_RESERVE_BYTES_MAX, Math.max(reserveMin, disk * DISK_RESERVE_PART));
    if (bavail * bsize - bytes >= reserve) return;
    throw new RegistryError("STORAGE_FULL");
  }
}
