import { formatPrefix64, parseIp } from "../net/ip-address.ts";
import { SlidingWindow } from "./sliding-window.ts";
import { type Abortable, type Waiting, WaitingRoom, type WakeAfter } from "./waiting-room.ts";

/** Prefixes of addresses that are kept at hand. */
const PREFIXES_MAX = 4_096;

/** How much of something may happen in any window of that length. */
export interface Rate {
  readonly count: number;
  readonly windowMs: number;
}

/** Null does not limit. */
export interface RateLimitRules {
  readonly requestsPerAddress: Rate | null;
  readonly requestsPerAccount: Rate | null;
  /** GETs of manifests, per account or, of the anonymous caller, per address. */
  readonly pulls: Rate | null;
}

export interface RateLimitsOptions {
  readonly rules: RateLimitRules;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
  readonly wakeAfter: WakeAfter;
  /** A random number of 32 bits. */
  readonly seed: number;
}

/** Who pulls. Both null: somebody on the Unix socket, who is not limited. */
export interface Puller {
  readonly account: string | null;
  /** In canonical text. */
  readonly address: string | null;
}

interface Limit {
  readonly rate: Rate;
  readonly window: SlidingWindow;
  readonly room: WaitingRoom;
}

/**
 * How often may be asked. Each of the first three methods answers null (come in) or a promise of that, when the
 * request has to wait for a moment. @throws RegistryError TOOMANYREQUESTS with Retry-After
 *
 * A request costs about 0.1 us for each limit that is set: `bench/rate-limits.ts`.
 */
export class RateLimits {
  readonly #perAddress: Limit | null;
  readonly #perAccount: Limit | null;
  readonly #pulls: Limit | null;
  readonly #addresses = new AddressKeys();

  constructor(options: RateLimitsOptions) {
    const waiting: Waiting = { count: 0 };
    const { requestsPerAddress, requestsPerAccount, pulls } = options.rules;
    const limitOf = (rate: Rate | null, isSaid: boolean) =>
      rate === null ? null : createLimit({ ...options, rate, waiting, isSaid });
    this.#perAddress = limitOf(requestsPerAddress, false);
    this.#perAccount = limitOf(requestsPerAccount, false);
    this.#pulls = limitOf(pulls, true);
  }

  /** Any request, before anything else is done for it. */
  byAddress(address: string | null, request: Abortable): Promise<void> | null {
    if (this.#perAddress === null || address === null) return null;
    return this.#perAddress.room.enter(this.#addresses.of(address), request);
  }

  /** Any request of an account. */
  byAccount(account: string, request: Abortable): Promise<void> | null {
    return this.#perAccount === null ? null : this.#perAccount.room.enter(account, request);
  }

  /**
   * A GET of a manifest, by tag or by digest, as Docker Hub counts: the image for two platforms that is pulled by tag is
   * the index and two manifests. HEAD is free, and so are blobs.
   */
  pull(puller: Puller, request: Abortable): Promise<void> | null {
    if (this.#pulls === null) return null;
    const key = this.#pullKey(puller);
    return key === null ? null : this.#pulls.room.enter(key, request);
  }

  /** What GET and HEAD of a manifest say about the limit of pulls, under Docker Hub's names; null without one. */
  pullHeaders(puller: Puller): Readonly<Record<string, string>> | null {
    const key = this.#pulls === null ? null : this.#pullKey(puller);
    return this.#pulls === null || key === null ? null : headersOf(this.#pulls.rate, this.#pulls.window, key);
  }

  /** An account may have the name of an address, so the first character says what it is. */
  #pullKey({ account, address }: Puller): string | null {
    if (account !== null) return `a${account}`;
    return address === null ? null : `i${this.#addresses.of(address)}`;
  }
}

interface LimitOptions extends Omit<RateLimitsOptions, "rules"> {
  readonly rate: Rate;
  readonly waiting: Waiting;
  /** Whether a refusal carries the headers of the limit. */
  readonly isSaid: boolean;
}

function createLimit({ rate, waiting, isSaid, monotonic, wakeAfter, seed }: LimitOptions): Limit {
  const window = new SlidingWindow({ ...rate, monotonic, seed });
  const said = (key: string) => (isSaid ? headersOf(rate, window, key) : {});
  return { rate, window, room: new WaitingRoom({ window, monotonic, wakeAfter, waiting, headersOf: said }) };
}

function headersOf({ count, windowMs }: Rate, window: SlidingWindow, key: string) {
  const w = Math.ceil(windowMs / 1_000);
  return {
    "ratelimit-limit": `${count};w=${w}`,
    "ratelimit-remaining": `${window.remaining(key)};w=${w}`,
    "docker-ratelimit-source": key.slice(1),
  };
}

/** The key that an address is counted under: IPv4 as it is, IPv6 by /64, because its owner has all of that. */
export class AddressKeys {
  readonly #prefixes = new Map<string, string>();

  of(address: string): string {
    if (!address.includes(":")) return address;
    const known = this.#prefixes.get(address);
    if (known !== undefined) return known;
    const ip = parseIp(address);
    const key = ip?.version === 6 ? formatPrefix64(ip) : address;
    if (this.#prefixes.size >= PREFIXES_MAX) this.#prefixes.clear();
    this.#prefixes.set(address, key);
    return key;
  }
}
