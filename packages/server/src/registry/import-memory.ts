import { RegistryError } from "@stowage/oci/errors";

/** Bytes that all imports of this process together keep in memory, and those of one caller. */
const ALL_BYTES_MAX = 512 * 1024 ** 2;
const CALLER_BYTES_MAX = 128 * 1024 ** 2;

/** When somebody else may be done, in seconds. */
const RETRY_SECONDS = 10;

/**
 * Memory of imports. An archive keeps its manifests in memory until it ends, which its sender decides, and gzip makes 32 MB of
 * them out of 30 kB: without a bound for all together a hundred slow archives would be too many.
 */
export class ImportMemory {
  readonly #byCaller = new Map<string, number>();
  #bytes = 0;

  /** A share of it, which is given back when it is disposed. `caller`: null is anybody. */
  share(caller: string | null): ImportShare {
    // A name is never empty.
    const key = caller ?? "";
    let bytes = 0;
    const add = (count: number) => {
      bytes += count;
      this.#bytes += count;
      const ofCaller = (this.#byCaller.get(key) ?? 0) + count;
      if (ofCaller === 0) this.#byCaller.delete(key);
      else this.#byCaller.set(key, ofCaller);
    };
    return {
      take: (count) => {
        const ofCaller = (this.#byCaller.get(key) ?? 0) + count;
        if (ofCaller > CALLER_BYTES_MAX || this.#bytes + count > ALL_BYTES_MAX) throw tooMuch();
        add(count);
      },
      [Symbol.dispose]: () => void add(-bytes),
    };
  }
}

export interface ImportShare extends Disposable {
  /** Bytes that are going to be kept. @throws RegistryError TOOMANYREQUESTS when they are too many */
  take(count: number): void;
}

function tooMuch(): RegistryError {
  return new RegistryError("TOOMANYREQUESTS", {
    message: `too many archives are being imported at once; try again in ${RETRY_SECONDS} s`,
    headers: { "Retry-After": String(RETRY_SECONDS) },
  });
}
