import type { RegistryError } from "@stowage/oci/errors";
import { AddressKeys } from "./rate-limits.ts";
import { SlidingWindow } from "./sliding-window.ts";
import { type Abortable, tooManyRequests, type WakeAfter } from "./waiting-room.ts";

/** Failed logins of an address, or for an account, in a window: more are refused, or slowed. */
const FAILURES_MAX = 10;
const WINDOW_MS = 60_000;

/** How long a login to an account waits that somebody tries passwords for, in milliseconds. */
const SLOW_MS = 1_000;

/** Logins that wait like that at the same time, and those that wait for a turn of their address. */
const SLOWED_MAX = 256;
const QUEUED_MAX = 256;
const QUEUED_PER_ADDRESS_MAX = 64;

/** Pairs of address and account whose failures a success takes back. */
const PAIRS_MAX = 65_536;

/** An account's name is a key up to this length, in characters: no account has a longer one. */
const NAME_LENGTH_MAX = 256;

export interface LoginThrottleOptions {
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
  readonly wakeAfter: WakeAfter;
  /** A random number of 32 bits. */
  readonly seed: number;
}

export interface Login {
  /** In canonical text; null on the Unix socket, which only the registry's owner can open. */
  readonly address: string | null;
  /** As the client wrote it. */
  readonly account: string;
}

/** A password that may be checked now. Disposed without an outcome it counts for nothing. */
export interface Attempt extends Disposable {
  succeeded(): void;
  failed(): void;
}

interface Turn {
  readonly enter: () => void;
  readonly refuse: (error: RegistryError) => void;
}

/** An address of which logins are being checked. */
interface Busy {
  checking: number;
  readonly turns: Turn[];
}

/** A failure, and what counted it: a success takes back no more. */
interface Failure {
  readonly at: number;
  readonly ofAddress: boolean;
  readonly ofAccount: boolean;
}

/**
 * Stands before every check of a password. An address with ten failures in a minute is refused; checks under way count
 * as failures as long as nobody knows, so that many at once are no more than ten, and others wait for their outcome.
 * An account with ten failures, from wherever, is slow for everybody and closed to nobody: who could close it would
 * only need its name.
 */
export class LoginThrottle {
  readonly #options: LoginThrottleOptions;
  readonly #byAddress: SlidingWindow;
  readonly #byAccount: SlidingWindow;
  readonly #addresses = new AddressKeys();
  /** Failures of each pair of address and account; the pair that began first is at the front. */
  readonly #pairs = new Map<string, readonly Failure[]>();
  readonly #busy = new Map<string, Busy>();
  #queued = 0;
  /** How to end the wait of each pair that is slowed; the one that waits longest is at the front. */
  readonly #slowed = new Map<string, () => void>();

  constructor(options: LoginThrottleOptions) {
    this.#options = options;
    const { monotonic, seed } = options;
    const rate = { count: FAILURES_MAX, windowMs: WINDOW_MS, monotonic, seed };
    this.#byAddress = new SlidingWindow(rate);
    this.#byAccount = new SlidingWindow(rate);
  }

  /** Waits until the password may be checked. @throws RegistryError TOOMANYREQUESTS, before it is checked */
  async begin(login: Login, request: Abortable): Promise<Attempt> {
    const address = login.address === null ? null : this.#addresses.of(login.address);
    const account = login.account.slice(0, NAME_LENGTH_MAX);
    const pair = `${address}\n${account}`;
    if (address !== null) await this.#requireTurn(address, request.signal);
    try {
      if (this.#byAccount.remaining(account) === 0) await this.#slow(pair, request.signal);
    } catch (error) {
      this.#endTurn(address);
      throw error;
    }
    let isOpen = true;
    const end = (outcome: () => void) => {
      if (!isOpen) return;
      isOpen = false;
      outcome();
      this.#endTurn(address);
    };
    return {
      succeeded: () => end(() => this.#forgive(pair, address, account)),
      failed: () => end(() => this.#count(pair, address, account)),
      [Symbol.dispose]: () => end(() => undefined),
    };
  }

  /** Waits until the address has failures left for all that are being checked. */
  async #requireTurn(address: string, signal: AbortSignal): Promise<void> {
    const left = this.#byAddress.remaining(address);
    if (left === 0) throw this.#refusal(address);
    const busy = this.#busy.get(address) ?? { checking: 0, turns: [] };
    this.#busy.set(address, busy);
    if (busy.checking < left) {
      busy.checking += 1;
      return;
    }
    if (signal.aborted || busy.turns.length >= QUEUED_PER_ADDRESS_MAX || this.#queued >= QUEUED_MAX) {
      throw tooManyRequests(0);
    }
    const { promise, resolve: enter, reject: refuse } = Promise.withResolvers<void>();
    const turn = { enter, refuse };
    const leave = () => {
      const at = busy.turns.indexOf(turn);
      if (at !== -1) busy.turns.splice(at, 1);
      refuse(tooManyRequests(0));
    };
    busy.turns.push(turn);
    this.#queued += 1;
    signal.addEventListener("abort", leave, { once: true });
    try {
      await promise;
    } finally {
      this.#queued -= 1;
      signal.removeEventListener("abort", leave);
    }
  }

  /** A check has ended: lets in who waits for that, or refuses them all when the address has no failure left. */
  #endTurn(address: string | null): void {
    const busy = address === null ? undefined : this.#busy.get(address);
    if (address === null || busy === undefined) return;
    busy.checking -= 1;
    const left = this.#byAddress.remaining(address);
    while (busy.turns.length > 0 && (left === 0 || busy.checking < left)) {
      const turn = busy.turns.shift();
      if (left === 0) turn?.refuse(this.#refusal(address));
      else {
        busy.checking += 1;
        turn?.enter();
      }
    }
    if (busy.checking === 0) this.#busy.delete(address);
  }

  /** Resolves after a moment; sooner when too many wait, because nobody may keep others out. */
  async #slow(pair: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#slowed.has(pair)) throw tooManyRequests(SLOW_MS);
    const [longest] = this.#slowed.size >= SLOWED_MAX ? this.#slowed.values() : [];
    longest?.();
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = () => {
      this.#slowed.delete(pair);
      resolve();
    };
    const cancel = this.#options.wakeAfter(SLOW_MS, end);
    this.#slowed.set(pair, end);
    signal.addEventListener("abort", end, { once: true });
    await promise;
    cancel();
    signal.removeEventListener("abort", end);
    if (signal.aborted) throw tooManyRequests(SLOW_MS);
  }

  #count(pair: string, address: string | null, account: string): void {
    const at = this.#options.monotonic();
    const ofAddress = address !== null && this.#byAddress.take(address);
    const ofAccount = this.#byAccount.take(account);
    if (!ofAddress && !ofAccount) return;
    const recent = (this.#pairs.get(pair) ?? []).filter((failure) => at - failure.at < 2 * WINDOW_MS);
    const [oldest] = this.#pairs.size >= PAIRS_MAX ? this.#pairs.keys() : [];
    if (oldest !== undefined) this.#pairs.delete(oldest);
    this.#pairs.set(pair, [...recent, { at, ofAddress, ofAccount }]);
  }

  /** Who knows the password was only mistaken before: those failures were no attack on this account. */
  #forgive(pair: string, address: string | null, account: string): void {
    for (const { at, ofAddress, ofAccount } of this.#pairs.get(pair) ?? []) {
      if (ofAddress && address !== null) this.#byAddress.giveBack(address, at);
      if (ofAccount) this.#byAccount.giveBack(account, at);
    }
    this.#pairs.delete(pair);
  }

  #refusal(address: string): RegistryError {
    const wait = this.#byAddress.waitFor(address, 1);
    return tooManyRequests(wait, {}, "too many failed sign-ins from this address");
  }
}
