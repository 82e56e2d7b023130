/** An address as its 128 bits; IPv4 lies in ::ffff:0:0/96 (RFC 4291 section 2.5.5.2), so that both its forms are one. */
export interface IpAddress {
  readonly version: 4 | 6;
  /** Eight groups of 16 bits. */
  readonly groups: readonly number[];
}

/** Longest text of an address: eight groups, or six and an IPv4 address (RFC 4291 section 2.2). */
const TEXT_LENGTH_MAX = 45;

const GROUPS = 8;

const MAPPED = [0, 0, 0, 0, 0, 0xffff];

/** IPv4 in four decimal parts, or IPv6 (RFC 4291 section 2.2) without a zone; null for anything else. */
export function parseIp(text: string): IpAddress | null {
  if (text.length > TEXT_LENGTH_MAX) return null;
  if (!text.includes(":")) {
    const pair = parseIpv4(text);
    return pair === null ? null : { version: 4, groups: [...MAPPED, ...pair] };
  }
  const groups = parseIpv6(text);
  if (groups === null) return null;
  const isMapped = MAPPED.every((group, at) => groups[at] === group);
  return { version: isMapped ? 4 : 6, groups };
}

/** Its canonical text (RFC 5952): one text for one address. */
export function formatIp({ version, groups }: IpAddress): string {
  const [, , , , , , high = 0, low = 0] = groups;
  if (version === 4) return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  const { start, length } = longestZeros(groups);
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  if (length < 2) return hex(groups);
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

/** Whether the first `bits` of the two are the same. `bits` of 128. */
export function sharesPrefix(a: IpAddress, b: IpAddress, bits: number): boolean {
  const whole = bits >> 4;
  for (let at = 0; at < whole; at++) if (a.groups[at] !== b.groups[at]) return false;
  const rest = bits & 15;
  return rest === 0 || (a.groups[whole] ?? 0) >> (16 - rest) === (b.groups[whole] ?? 0) >> (16 - rest);
}

/** The first four groups as text: an IPv6 customer has a /64 at least (RFC 6177), and so every address in it. */
export function formatPrefix64({ groups }: IpAddress): string {
  return `${formatIp({ version: 6, groups: [...groups.slice(0, 4), 0, 0, 0, 0] })}/64`;
}

function parseIpv4(text: string): readonly [number, number] | null {
  const [, a = "", b = "", c = "", d = ""] = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text) ?? [];
  // 010 is eight to some and ten to others.
  const bytes = [a, b, c, d].map((part) => (/^(?:0|[1-9]\d*)$/.test(part) ? Number(part) : 256));
  if (bytes.some((byte) => byte > 255)) return null;
  const [first = 0, second = 0, third = 0, fourth = 0] = bytes;
  return [(first << 8) | second, (third << 8) | fourth];
}

function parseIpv6(text: string): readonly number[] | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half, at) => parseGroups(half, at === halves.length - 1));
  if (head === undefined || head === null || tail === null) return null;
  if (tail === undefined) return head.length === GROUPS ? head : null;
  const zeros = GROUPS - head.length - tail.length;
  return zeros < 1 ? null : [...head, ...Array<number>(zeros).fill(0), ...tail];
}

/** Groups between colons; the last two may be an IPv4 address when this is the end of the text. */
function parseGroups(text: string, isEnd: boolean): readonly number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [at, part] of parts.entries()) {
    const pair = isEnd && at === parts.length - 1 ? parseIpv4(part) : null;
    if (pair !== null) groups.push(...pair);
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups;
}

/** Where the longest run of zero groups begins (the first of equals), and how long it is. */
function longestZeros(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let at = 0; at <= groups.length; at++) {
    if (groups[at] === 0) continue;
    if (at - start > best.length) best = { start, length: at - start };
    start = at + 1;
  }
  return best;
}
