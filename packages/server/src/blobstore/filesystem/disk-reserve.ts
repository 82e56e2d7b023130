import { statfs } from "node:fs/promises";
import { RegistryError } from "@stowage/oci/errors";

const MIB = 1024 * 1024;

/** Bytes of the disk that uploads leave free, so that deletions and the collector can always be written down. */
const DISK_RESERVE_BYTES_MAX = 64 * MIB;

/** The reserve as a part of a smaller disk. */
const DISK_RESERVE_PART = 0.02;

/** What the database's log may need before its next checkpoint; a tiny disk gives a quarter of itself. */
const DISK_RESERVE_BYTES_MIN = 6 * MIB;
const DISK_RESERVE_PART_MAX = 0.25;

/** What was asked of the disk is believed for this many bytes, or less when the reserve is near. */
const ESTIMATE_BYTES_MAX = 16 * MIB;

/** Stops uploads before the disk is full to the last byte: a full database could not even record a deletion. */
export class DiskReserve {
  readonly #path: string;
  /** Bytes that may be written before the disk is asked again. */
  #allowance = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Takes `bytes` from what may be written.
   * @throws RegistryError STORAGE_FULL when less than the reserve would be free afterwards
   */
  async take(bytes: number): Promise<void> {
    this.#allowance -= bytes;
    if (this.#allowance >= 0) return;
    const available = await this.#available();
    if (available < bytes) throw new RegistryError("STORAGE_FULL");
    // Others write to the disk too: the nearer its end, the more often it is asked.
    this.#allowance = Math.min(ESTIMATE_BYTES_MAX, (available - bytes) / 8);
  }

  /** Free bytes above the reserve. */
  async #available(): Promise<number> {
    const { bavail, blocks, bsize } = await statfs(this.#path);
    const disk = blocks * bsize;
    const reserveMin = Math.min(DISK_RESERVE_BYTES_MIN, disk * DISK_RESERVE_PART_MAX);
    const reserve = Math.min(DISK_RESERVE_BYTES_MAX, Math.max(reserveMin, disk * DISK_RESERVE_PART));
    return bavail * bsize - reserve;
  }
}
