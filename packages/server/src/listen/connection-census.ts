import { open } from "node:fs/promises";
import type { Connection } from "../http/exchange.ts";
import { type Cidrs, isTrustedPeer } from "../net/client-address.ts";
import { TableReader, parseKernelAddress } from "./connection-table.ts";
import { formatIp, formatPrefix64, type IpAddress, parseIp } from "../net/ip-address.ts";
import { describeError, type Log } from "../observe/log.ts";

/** Bytes that are read of a table at once: between two reads others have their turn. */
const READ_BYTES = 65_536;

/** Linux's tables of connections, of the network namespace that the process is in (proc(5)). */
const TABLES = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/** Most addresses that are remembered as being over: so many cannot be over at once with a sensible limit. */
const OVER_MAX = 10_000;

export interface CensusOptions {
  /** Most connections of one address; an IPv6 /64 is one. */
  readonly max: number;
  readonly port: number;
  /** Between two counts. */
  readonly intervalMs: number;
  /** They speak for many, and so does the machine itself, where proxies run, too. */
  readonly trustedProxies: Cidrs | null;
  readonly log: Log;
}

/**
 * Counts the connections of each address. Bun's server shows a connection to nobody before it has a request, and tells
 * nobody when one ends, so the kernel is asked, every few seconds; who is over is refused with the next request.
 */
export class ConnectionCensus implements Disposable {
  readonly #options: CensusOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #over: ReadonlySet<string> = new Set();
  #isCounting = false;
  readonly #buffer = Buffer.alloc(READ_BYTES);

  constructor(options: CensusOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#run(), options.intervalMs);
    this.#timer.unref();
  }

  /** Whether the address had more connections than it may when they were last counted. */
  isOver(connection: Pick<Connection, "remoteAddress">): boolean {
    // Nearly always nobody is, and then not even the address is looked up.
    if (this.#over.size === 0) return false;
    const text = connection.remoteAddress;
    const ip = text === null ? null : parseIp(text);
    return ip !== null && this.#over.has(keyOf(ip));
  }

  /** Counts now. */
  async count(): Promise<void> {
    const { max, port, trustedProxies, log } = this.#options;
    const counts = new Map<string, number>();
    for (const path of TABLES) await this.#addTable(path, new TableReader(port, counts));
    const over = new Set<string>();
    for (const [hex, connections] of counts) {
      const ip = connections > max ? parseKernelAddress(hex) : null;
      if (ip === null || isExempt(ip, trustedProxies) || over.size >= OVER_MAX) continue;
      const key = keyOf(ip);
      over.add(key);
      if (!this.#over.has(key))
        log.warn("too many connections: refused until they are fewer", { address: key, connections, max });
    }
    this.#over = over;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** In pieces, and without making text of it: it may have a hundred thousand lines. */
  async #addTable(path: string, reader: TableReader): Promise<void> {
    // No Linux, or no IPv6.
    const file = await open(path).catch(() => null);
    if (file === null) return;
    try {
      for (;;) {
        const { bytesRead } = await file.read(this.#buffer, 0, READ_BYTES, null);
        if (bytesRead === 0) return;
        reader.add(this.#buffer.subarray(0, bytesRead));
      }
    } finally {
      await file.close();
    }
  }

  async #run(): Promise<void> {
    if (this.#isCounting) return;
    this.#isCounting = true;
    await this.count()
      .catch((error: unknown) =>
        this.#options.log.warn("connections were not counted", { error: describeError(error) }),
      )
      .finally(() => {
        this.#isCounting = false;
      });
  }
}

function isExempt(ip: IpAddress, trustedProxies: Cidrs | null): boolean {
  const remoteAddress = formatIp(ip);
  if (remoteAddress === "::1" || /^127\./.test(remoteAddress)) return true;
  return trustedProxies !== null && isTrustedPeer({ remoteAddress }, trustedProxies);
}

function keyOf(ip: IpAddress): string {
  return ip.version === 4 ? formatIp(ip) : formatPrefix64(ip);
}
