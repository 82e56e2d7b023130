/** What a relay needs of either socket. */
interface Wire {
  write(bytes: Uint8Array): number;
  pause(): void;
  resume(): void;
  end(): void;
  terminate(): void;
}

/** One direction: what `to` does not take at once is kept, and `from` is paused until it has. */
class Flow {
  #rest: Uint8Array | null = null;
  #ended = false;
  #movedAt = 0;

  /** Since when `to` takes nothing (as performance.now() has it); null when nothing waits for it. */
  get blockedSince(): number | null {
    return this.#rest === null && !this.#ended ? null : this.#movedAt;
  }

  pass(bytes: Uint8Array, from: Wire, to: Wire | null): void {
    if (this.#rest !== null) {
      // Bytes that were on their way when the source was paused.
      this.#rest = Buffer.concat([this.#rest, bytes]);
      return;
    }
    const written = to === null ? 0 : Math.max(0, to.write(bytes));
    if (written >= bytes.byteLength) return;
    // The socket's buffer is used again after this turn.
    this.#rest = bytes.slice(written);
    this.#movedAt = performance.now();
    from.pause();
  }

  /** `to` takes bytes again. */
  drain(from: Wire | null, to: Wire): void {
    this.#movedAt = performance.now();
    if (this.#rest !== null) {
      const written = Math.max(0, to.write(this.#rest));
      this.#rest = written >= this.#rest.byteLength ? null : this.#rest.subarray(written);
    }
    if (this.#rest !== null) return;
    if (this.#ended) to.end();
    else from?.resume();
  }

  /** Nothing more comes: `to` is ended once it has everything. */
  end(to: Wire): void {
    this.#ended = true;
    this.#movedAt = performance.now();
    if (this.#rest === null) to.end();
  }
}

/** Two sockets made one: the client's, decrypted, and the one to the inner server. */
export class Relay {
  readonly #client: Wire;
  #inner: Wire | null = null;
  #isOver = false;
  readonly #up = new Flow();
  readonly #down = new Flow();

  constructor(client: Wire) {
    this.#client = client;
  }

  /**
   * Since when the client takes nothing of what waits for it, or does not close after the end; null otherwise. The
   * inner server cannot tell: while its side is paused, even its end is not seen.
   */
  get clientBlockedSince(): number | null {
    return this.#down.blockedSince;
  }

  fromClient(bytes: Uint8Array): void {
    this.#up.pass(bytes, this.#client, this.#inner);
  }

  fromInner(bytes: Uint8Array, inner: Wire): void {
    this.#down.pass(bytes, inner, this.#client);
  }

  innerOpened(inner: Wire): void {
    if (this.#isOver) {
      inner.terminate();
      return;
    }
    this.#inner = inner;
    this.innerDrained(inner);
  }

  innerDrained(inner: Wire): void {
    this.#up.drain(this.#client, inner);
  }

  clientDrained(): void {
    this.#down.drain(this.#inner, this.#client);
  }

  /** What the inner server said last still reaches the client. */
  innerClosed(): void {
    this.#inner = null;
    if (!this.#isOver) this.#down.end(this.#client);
  }

  clientClosed(): void {
    this.#isOver = true;
    this.#inner?.terminate();
  }
}
