import { RegistryError } from "@stowage/oci/errors";
import type { KeyedHash } from "./keyed-hash.ts";
import { Remembered } from "./remembered.ts";

/** Longest password, in bytes of UTF-8. */
export const PASSWORD_BYTES_MAX = 1_024;

/** Shortest password that may be set, in characters. */
export const PASSWORD_LENGTH_MIN = 8;

/** Password checks that wait for their turn; who comes beyond is told to come back. */
const CHECKS_WAITING_MAX = 32;

/** Memory in KiB and passes of a hash (OWASP's second choice for argon2id): some 20 ms of one core. */
const ARGON2 = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const;

/** Bytes of a password that bcrypt looks at. Bun would hash longer ones first, which no other program does. */
const BCRYPT_BYTES = 72;

/** How long a password that was right is not computed again, in milliseconds. */
const REMEMBERED_MS = 60_000;

/** Most passwords that are remembered. */
const REMEMBERED_MAX = 1_024;

/** A hash of the form that new accounts get, of a password that nobody knows. */
const DECOY =
  "$argon2id$v=19$m=19456,t=2,p=1$EzbCKF+1iEiUllDL3IkZnF6KEc73kzf/JUDV27btyi0$jojZb4EXtRXRIalTG1CYCtyhCarFywHvQs5fBlpvlq0";

export interface PasswordsOptions {
  /** Checks at the same time: each holds a core and 19 MiB. */
  readonly concurrencyMax: number;
  readonly keyedHash: KeyedHash;
  /** Calls `wake` once after `ms`. */
  readonly wakeAfter: (ms: number, wake: () => void) => void;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
}

/** The right to compute. */
interface Turn extends Disposable {
  /** How long the core rests before the next one, in milliseconds. */
  restMs: number;
}

/** Characters of a mark: 128 bits. */
const MARK_LENGTH = 22;

/** Tells whether an account still has the password that it had: of its hash, whose salt nobody is told. */
export function passwordMark(hash: string): string {
  return new Bun.CryptoHasher("sha256").update(hash).digest("base64url").slice(0, MARK_LENGTH);
}

/**
 * Checks and makes hashes of passwords, a few at a time and off the event loop. The work for a name that nobody has is
 * the same as for one that somebody has.
 */
export class Passwords {
  readonly #options: PasswordsOptions;
  /** Fingerprint of name and password -> the hash that it was right for, and until when that is believed. */
  readonly #remembered = new Remembered<{ readonly hash: string; readonly until: number }>(REMEMBERED_MAX);
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: PasswordsOptions) {
    this.#options = options;
  }

  /**
   * Whether the password is that of the hash; without a hash (no such account) it takes as long and is false.
   * `decoys` are hashes of other accounts, if those are not of the form that `hash` makes.
   * @throws RegistryError TOOMANYREQUESTS when too many wait
   */
  async verify(
    name: string,
    password: string,
    { hash, decoys }: { readonly hash: string | null; readonly decoys: readonly string[] },
  ): Promise<boolean> {
    if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX) return false;
    const fingerprint = this.#options.keyedHash.of(name, password);
    const remembered = this.#remembered.get(fingerprint);
    if (hash !== null && remembered?.hash === hash && remembered.until > this.#options.monotonic())
      return true;
    using turn = await this.#takeTurn();
    const startedAt = this.#options.monotonic();
    const isRight = await matches(password, hash ?? this.#decoyFor(name, decoys));
    if (hash === null || !isRight) {
      // Whoever guesses keeps a core busy for half of the time at most: others want it as well.
      turn.restMs = this.#options.monotonic() - startedAt;
      return false;
    }
    this.#remembered.set(fingerprint, { hash, until: this.#options.monotonic() + REMEMBERED_MS });
    return true;
  }

  /** Whether `verify` would say yes without computing anything. */
  remembers(name: string, password: string, hash: string): boolean {
    const remembered = this.#remembered.get(this.#options.keyedHash.of(name, password));
    return remembered?.hash === hash && remembered.until > this.#options.monotonic();
  }

  /** argon2id in PHC form. @throws RegistryError TOOMANYREQUESTS when too many wait */
  async hash(password: string): Promise<string> {
    using _ = await this.#takeTurn();
    return await Bun.password.hash(password, ARGON2);
  }

  /** The same name always meets the same decoy, as it would meet its own hash. */
  #decoyFor(name: string, decoys: readonly string[]): string {
    const all = [DECOY, ...decoys];
    const at = Buffer.from(this.#options.keyedHash.of("decoy", name), "base64").readUInt32LE(0) % all.length;
    return all[at] ?? DECOY;
  }

  async #takeTurn(): Promise<Turn> {
    if (this.#running >= this.#options.concurrencyMax) {
      if (this.#waiting.length >= CHECKS_WAITING_MAX) {
        throw new RegistryError("TOOMANYREQUESTS", {
          message: "too many sign-ins at once; try again in a moment",
          headers: { "Retry-After": "1" },
        });
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running += 1;
    }
    const turn: Turn = {
      restMs: 0,
      [Symbol.dispose]: () => {
        if (turn.restMs === 0) this.#endTurn();
        else this.#options.wakeAfter(turn.restMs, () => this.#endTurn());
      },
    };
    return turn;
  }

  /** Whoever waits takes over the turn, so that nobody can come in between. */
  #endTurn(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}

/** What is wrong with a password that somebody wants to set, or null. */
export function problemOfPassword(password: string): string | null {
  if (password.length < PASSWORD_LENGTH_MIN) return `wanted at least ${PASSWORD_LENGTH_MIN} characters`;
  if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX) return `wanted at most ${PASSWORD_BYTES_MAX} bytes`;
  return null;
}

async function matches(password: string, hash: string): Promise<boolean> {
  const bytes = Buffer.from(password);
  if (bytes.byteLength === 0) return false;
  const isBcrypt = hash.startsWith("$2");
  return await Bun.password.verify(isBcrypt ? bytes.subarray(0, BCRYPT_BYTES) : bytes, hash);
}
