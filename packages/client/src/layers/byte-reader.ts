import { badLayer } from "./layer-error.ts";

/** Reads pieces of any length as pieces of wanted lengths. */
export class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array<ArrayBuffer>>;
  #piece: Uint8Array<ArrayBuffer> = new Uint8Array();

  constructor(pieces: AsyncIterable<Uint8Array<ArrayBuffer>>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** The same without waiting, when they are there already; null: ask `read`. A layer may have a million entries. */
  take(size: number): Uint8Array<ArrayBuffer> | null {
    return size <= this.#piece.byteLength ? this.#take(size) : null;
  }

  /** Exactly `size` bytes, which are to be few; null when there is no byte any more. @throws ClientError when it ends within */
  async read(size: number): Promise<Uint8Array<ArrayBuffer> | null> {
    if (size > 0 && !(await this.#fill())) return null;
    if (this.#piece.byteLength >= size) return this.#take(size);
    const bytes = new Uint8Array(size);
    let filled = 0;
    for await (const piece of this.stream(size)) {
      bytes.set(piece, filled);
      filled += piece.byteLength;
    }
    return bytes;
  }

  /** The next `size` bytes as they come. @throws ClientError when it ends within */
  async *stream(size: number): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    for (let left = size; left > 0;) {
      if (!(await this.#fill())) throw badLayer("it breaks off within an entry");
      const piece = this.#take(Math.min(left, this.#piece.byteLength));
      left -= piece.byteLength;
      yield piece;
    }
  }

  /** Reads what is left. */
  async drain(): Promise<void> {
    while (await this.#fill()) this.#take(this.#piece.byteLength);
  }

  async #fill(): Promise<boolean> {
    while (this.#piece.byteLength === 0) {
      const next = await this.#pieces.next();
      if (next.done === true) return false;
      this.#piece = next.value;
    }
    return true;
  }

  #take(size: number): Uint8Array<ArrayBuffer> {
    const taken = this.#piece.subarray(0, size);
    this.#piece = this.#piece.subarray(size);
    return taken;
  }
}
