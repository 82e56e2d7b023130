import { type IpAddress, parseIp } from "../net/ip-address.ts";

/** Longest line that is looked at, in bytes; the kernel's have 150, or 180 with IPv6. */
const LINE_BYTES_MAX = 512;

const NEW_LINE = 0x0a;
const SPACE = 0x20;
const COLON = 0x3a;

/** State of a connection that is up. */
const ESTABLISHED = "01";

/**
 * Counts the connections of a port in Linux's table of TCP connections (proc(5)), which comes in pieces. A line is
 * `  sl: local_address:port remote_address:port st ...`, numbers in hex. Counts go by remote address as the kernel
 * writes it; of an IPv6 address by its first 64 bits, the rest zero, unless it is an IPv4 one.
 */
export class TableReader {
  readonly #counts: Map<string, number>;
  readonly #portText: string;
  /** Beginning of a line whose end is in the next piece. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(port: number, counts: Map<string, number>) {
    this.#counts = counts;
    this.#portText = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  }

  add(piece: Buffer): void {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let start = 0;
    for (let end = bytes.indexOf(NEW_LINE); end !== -1; end = bytes.indexOf(NEW_LINE, start)) {
      this.#addLine(bytes, start, end);
      start = end + 1;
    }
    const rest = bytes.subarray(start);
    // A copy: the caller reads into the same memory again.
    this.#rest = Buffer.from(rest.subarray(0, LINE_BYTES_MAX));
  }

  #addLine(bytes: Buffer, start: number, end: number): void {
    const number = bytes.indexOf(COLON, start);
    const local = number + 2;
    const localEnd = bytes.indexOf(SPACE, local);
    const remoteEnd = bytes.indexOf(SPACE, localEnd + 1);
    // The first line has the names of the columns.
    if (number === -1 || localEnd === -1 || remoteEnd === -1 || remoteEnd > end) return;
    const portLength = this.#portText.length;
    if (bytes.toString("latin1", localEnd - portLength, localEnd) !== this.#portText) return;
    if (bytes.toString("latin1", remoteEnd + 1, remoteEnd + 3) !== ESTABLISHED) return;
    const address = bytes.toString("latin1", localEnd + 1, remoteEnd - portLength);
    const isIpv4 = address.length === 8 || address.startsWith("0000000000000000FFFF0000");
    const key = isIpv4 ? address : `${address.slice(0, 16)}${"0".repeat(16)}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
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
