import { type Cidrs, isTrustedPeer } from "../net/client-address.ts";
import { formatIp, formatPrefix64, type IpAddress, parseIp } from "../net/ip-address.ts";
import { describeError, type Log } from "../observe/log.ts";

/** Bytes of a line of such a table: one that is short has too few lines for anybody to be over. */
const LINE_BYTES = 150;

/** Linux's tables of connections, of the network namespace that the process is in (proc(5)). */
const TABLES = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/** State of a connection that is up, in those tables. */
const ESTABLISHED = "01";

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

  constructor(options: CensusOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#run(), options.intervalMs);
    this.#timer.unref();
  }

  /** Whether an address had more connections than it may when they were last counted. */
  isOver(address: () => string | null): boolean {
    // Nearly always nobody is, and then not even the address is looked up.
    if (this.#over.size === 0) return false;
    const text = address();
    const ip = text === null ? null : parseIp(text);
    return ip !== null && this.#over.has(keyOf(ip));
  }

  /** Counts now. */
  async count(): Promise<void> {
    const { max, port, trustedProxies, log } = this.#options;
    const counts = new Map<string, number>();
    for (const path of TABLES) {
      const table = await Bun.file(path)
        .text()
        .catch(() => "");
      if (table.length / LINE_BYTES > max) countConnections(table, port, counts);
    }
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

/**
 * Adds up the lines of a table by remote address, in the kernel's hex; of an IPv6 address the first 64 bits, unless it
 * is an IPv4 one.
 */
export function countConnections(table: string, port: number, counts: Map<string, number>): void {
  const localPort = port.toString(16).toUpperCase().padStart(4, "0");
  // "  sl: local_address:port remote_address:port st ..."
  for (const line of table.split("\n")) {
    const [, local = "", remote = "", state] = line.trimStart().split(" ", 4);
    if (state !== ESTABLISHED || !local.endsWith(`:${localPort}`)) continue;
    const address = remote.slice(0, remote.indexOf(":"));
    const isIpv4 = address.length === 8 || address.startsWith("0000000000000000FFFF0000");
    const key = isIpv4 ? address : `${address.slice(0, 16)}${"0".repeat(16)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
}

/** An address as the tables have it: words of 32 bits, each as the processor keeps it in memory. */
export function parseKernelAddress(hex: string): IpAddress | null {
  const bytes = Buffer.from(hex, "hex");
  if (bytes.length !== 4 && bytes.length !== 16) return null;
  if (isLittleEndian()) bytes.swap32();
  if (bytes.length === 4) return parseIp(bytes.join("."));
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
  return parseIp(groups.join(":"));
}

function isLittleEndian(): boolean {
  return new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
}

function isExempt(ip: IpAddress, trustedProxies: Cidrs | null): boolean {
  const remoteAddress = formatIp(ip);
  if (remoteAddress === "::1" || /^127\./.test(remoteAddress)) return true;
  return trustedProxies !== null && isTrustedPeer({ remoteAddress }, trustedProxies);
}

function keyOf(ip: IpAddress): string {
  return ip.version === 4 ? formatIp(ip) : formatPrefix64(ip);
}
