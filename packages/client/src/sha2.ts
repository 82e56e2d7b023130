import type { DigestAlgorithm } from "@stowage/oci/digest";

/**
 * SHA-256 and SHA-512 (FIPS 180-4), for runtimes without a hash that takes its input in pieces. The state is words of 32
 * bits for both; a word of SHA-512 is two of them, high half first.
 */
export class Sha2 {
  readonly #isLong: boolean;
  readonly #block: Uint8Array;
  readonly #view: DataView;
  readonly #state: Int32Array;
  #filled = 0;
  #bytes = 0;

  constructor(algorithm: DigestAlgorithm) {
    this.#isLong = algorithm === "sha512";
    this.#block = new Uint8Array(this.#isLong ? 128 : 64);
    this.#view = new DataView(this.#block.buffer);
    this.#state = (this.#isLong ? constants().initialLong : constants().initial).slice();
  }

  update(bytes: Uint8Array): void {
    this.#bytes += bytes.byteLength;
    for (let at = 0; at < bytes.byteLength;) {
      const part = bytes.subarray(at, at + this.#block.length - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < this.#block.length) return;
      this.#compress();
      this.#filled = 0;
    }
  }

  /** Lower-case hex. The hasher has ended with it. */
  digest(_encoding: "hex"): string {
    const bits = this.#bytes * 8;
    const lengthAt = this.#block.length - 8;
    this.#block.fill(0, this.#filled);
    this.#block[this.#filled] = 0x80;
    // The length has 8 bytes, or 16 of which the upper 8 are never used.
    if (this.#filled >= this.#block.length - (this.#isLong ? 16 : 8)) {
      this.#compress();
      this.#block.fill(0);
    }
    this.#view.setUint32(lengthAt, Math.floor(bits / 2 ** 32));
    this.#view.setUint32(lengthAt + 4, bits >>> 0);
    this.#compress();
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #compress(): void {
    if (this.#isLong) compressLong(this.#state, this.#view);
    else compress(this.#state, this.#view);
  }
}

const words = new Int32Array(64);

function compress(state: Int32Array, block: DataView): void {
  const { rounds } = constants();
  for (let at = 0; at < 64; at++) {
    if (at < 16) {
      words[at] = block.getInt32(at * 4);
      continue;
    }
    const [before15, before2] = [words[at - 15] ?? 0, words[at - 2] ?? 0];
    const s0 = rotate(before15, 7) ^ rotate(before15, 18) ^ (before15 >>> 3);
    const s1 = rotate(before2, 17) ^ rotate(before2, 19) ^ (before2 >>> 10);
    words[at] = ((words[at - 16] ?? 0) + s0 + (words[at - 7] ?? 0) + s1) | 0;
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  for (let at = 0; at < 64; at++) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (rounds[at] ?? 0) + (words[at] ?? 0)) | 0;
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
}

function rotate(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

const longWords = new BigUint64Array(80);

/** On BigInt: images are named by SHA-256, so this way is for the rare one that is not, in a browser. */
function compressLong(state: Int32Array, block: DataView): void {
  const { roundsLong } = constants();
  for (let at = 0; at < 80; at++) {
    if (at < 16) {
      longWords[at] = block.getBigUint64(at * 8);
      continue;
    }
    const [before15, before2] = [longWords[at - 15] ?? 0n, longWords[at - 2] ?? 0n];
    const s0 = rotateLong(before15, 1n) ^ rotateLong(before15, 8n) ^ (before15 >> 7n);
    const s1 = rotateLong(before2, 19n) ^ rotateLong(before2, 61n) ^ (before2 >> 6n);
    longWords[at] = (longWords[at - 16] ?? 0n) + s0 + (longWords[at - 7] ?? 0n) + s1;
  }
  const view = new DataView(state.buffer);
  const before = Array.from({ length: 8 }, (_, at) => readLong(view, at));
  let [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n, g = 0n, h = 0n] = before;
  for (let at = 0; at < 80; at++) {
    const s1 = rotateLong(e, 14n) ^ rotateLong(e, 18n) ^ rotateLong(e, 41n);
    const t1 = h + s1 + ((e & f) ^ (~e & g)) + (roundsLong[at] ?? 0n) + (longWords[at] ?? 0n);
    const s0 = rotateLong(a, 28n) ^ rotateLong(a, 34n) ^ rotateLong(a, 39n);
    const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    [h, g, f, e, d, c, b, a] = [g, f, e, low(d + t1), c, b, a, low(t1 + t2)];
  }
  [a, b, c, d, e, f, g, h].forEach((word, at) => {
    const sum = low((before[at] ?? 0n) + word);
    state[at * 2] = Number(sum >> 32n);
    state[at * 2 + 1] = Number(sum & 0xffff_ffffn);
  });
}

function readLong(view: DataView, at: number): bigint {
  const isLittle = new Uint8Array(Int32Array.of(1).buffer)[0] === 1;
  return (BigInt(view.getUint32(at * 8, isLittle)) << 32n) | BigInt(view.getUint32(at * 8 + 4, isLittle));
}

function low(word: bigint): bigint {
  return BigInt.asUintN(64, word);
}

function rotateLong(word: bigint, by: bigint): bigint {
  return (word >> by) | low(word << (64n - by));
}

interface Constants {
  readonly initial: Int32Array;
  readonly rounds: Int32Array;
  readonly initialLong: Int32Array;
  readonly roundsLong: BigUint64Array;
}

let known: Constants | null = null;

/** FIPS 180-4, 4.2.2, 4.2.3 and 5.3: fractions of square and cube roots of the first primes; computed, not listed. */
function constants(): Constants {
  if (known !== null) return known;
  const primes: number[] = [];
  for (let candidate = 2; primes.length < 80; candidate++) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  }
  const cubes = primes.map((prime) => fractionOfRoot(prime, 3n));
  const squares = primes.slice(0, 8).map((prime) => fractionOfRoot(prime, 2n));
  known = {
    initial: Int32Array.from(squares, (root) => Number(root >> 32n)),
    rounds: Int32Array.from(cubes.slice(0, 64), (root) => Number(root >> 32n)),
    initialLong: Int32Array.from(
      squares.flatMap((root) => [Number(root >> 32n), Number(low(root << 32n) >> 32n)]),
    ),
    roundsLong: BigUint64Array.from(cubes),
  };
  return known;
}

/** The first 64 bits behind the point of a root, by bisection. */
function fractionOfRoot(prime: number, degree: bigint): bigint {
  const wanted = BigInt(prime) << (64n * degree);
  let [from, to] = [0n, 1n << 72n];
  while (to - from > 1n) {
    const middle = (from + to) >> 1n;
    if (middle ** degree <= wanted) from = middle;
    else to = middle;
  }
  return low(from);
}
