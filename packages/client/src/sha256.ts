/**
 * SHA-256 (FIPS 180-4), for runtimes without a hash that takes its input in pieces: browsers. Content named by SHA-512,
 * which hardly any is, cannot be read there.
 */
export class Sha256 {
  readonly #block = new Uint8Array(64);
  readonly #view = new DataView(this.#block.buffer);
  readonly #state = fractionsOfRoots(8, 1 / 2);
  readonly #words = new Int32Array(64);
  #filled = 0;
  #bytes = 0;

  update(bytes: Uint8Array): void {
    this.#bytes += bytes.byteLength;
    for (let at = 0; at < bytes.byteLength;) {
      const part = bytes.subarray(at, at + 64 - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < 64) return;
      this.#compress();
    }
  }

  /** Lower-case hex. The hasher has ended with it. */
  digest(_encoding: "hex"): string {
    const bits = this.#bytes * 8;
    this.#block.fill(0, this.#filled);
    this.#block[this.#filled] = 0x80;
    if (this.#filled >= 56) {
      this.#compress();
      this.#block.fill(0);
    }
    this.#view.setUint32(56, Math.floor(bits / 2 ** 32));
    this.#view.setUint32(60, bits >>> 0);
    this.#compress();
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #compress(): void {
    const [words, state] = [this.#words, this.#state];
    for (let at = 0; at < 64; at++) {
      if (at < 16) {
        words[at] = this.#view.getInt32(at * 4);
        continue;
      }
      const [before15, before2] = [words[at - 15] ?? 0, words[at - 2] ?? 0];
      const s0 = rotate(before15, 7) ^ rotate(before15, 18) ^ (before15 >>> 3);
      const s1 = rotate(before2, 17) ^ rotate(before2, 19) ^ (before2 >>> 10);
      words[at] = (words[at - 16] ?? 0) + s0 + (words[at - 7] ?? 0) + s1;
    }
    let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
    for (let at = 0; at < 64; at++) {
      const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (ROUNDS[at] ?? 0) + (words[at] ?? 0)) | 0;
      const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((word, at) => {
      state[at] = (state[at] ?? 0) + word;
    });
    this.#filled = 0;
  }
}

/** FIPS 180-4, 4.2.2: of the cube roots of the first 64 primes. */
const ROUNDS = fractionsOfRoots(64, 1 / 3);

/** The first 32 bits behind the point of roots of the first primes, which a double still has. */
function fractionsOfRoots(count: number, exponent: number): Int32Array {
  const primes: number[] = [];
  for (let candidate = 2; primes.length < count; candidate++) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  }
  return Int32Array.from(primes, (prime) => (prime ** exponent % 1) * 2 ** 32);
}

function rotate(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}
