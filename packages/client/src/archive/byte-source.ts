import { badArchive } from "./archive-error.ts";

const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array();

/**
 * Reads pieces of any length as pieces of wanted lengths. It never closes what it reads from: whoever refuses an archive may
 * have to read its rest, so that the sender sees why.
 */
export class ByteSource {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = NOTHING;
  #offset = 0;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** How many bytes were taken. */
  get offset(): number {
    return this.#offset;
  }

  /** Exactly `size` bytes, which are to be small; null when there is no byte any more. @throws ClientError when it ends within */
  async read(size: number, what: string): Promise<Uint8Array | null> {
    if (!(await this.#fill())) return null;
    if (this.#piece.byteLength >= size) return this.#take(size);
    const bytes = new Uint8Array(size);
    let filled = 0;
    for await (const piece of this.stream(size, what)) {
      bytes.set(piece, filled);
      filled += piece.byteLength;
    }
    return bytes;
  }

  /**
   * The next `size` bytes as they come. Who takes a piece may do with it what it likes, also give its memory away.
   * @throws ClientError when it ends within
   */
  async *stream(size: number, what: string): AsyncGenerator<Uint8Array, void, void> {
    for (let left = size; left > 0;) {
      if (!(await this.#fill())) {
        throw badArchive(`it breaks off in ${what}, ${left} bytes before the end of that`);
      }
      const piece = this.#take(Math.min(left, this.#piece.byteLength));
      left -= piece.byteLength;
      yield piece;
    }
  }

  /** What is there of the next bytes without waiting for more; null at the end. */
  async any(): Promise<Uint8Array | null> {
    return (await this.#fill()) ? this.#take(this.#piece.byteLength) : null;
  }

  async #fill(): Promise<boolean> {
    while (this.#piece.byteLength === 0) {
      const next = await this.#pieces.next();
      if (next.done === true) return false;
      this.#piece = next.value;
    }
    return true;
  }

  #take(size: number): Uint8Array {
    const taken = this.#piece.subarray(0, size);
    this.#piece = size === this.#piece.byteLength ? NOTHING : this.#piece.subarray(size);
    this.#offset += size;
    return taken;
  }
}
