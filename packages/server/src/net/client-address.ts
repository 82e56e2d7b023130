import { formatIp, type IpAddress, parseIp, sharesPrefix } from "./ip-address.ts";

/** What `--trusted-proxies` wants, for messages. */
export const CIDRS_WANTED = "addresses or CIDR blocks with commas, such as 10.0.0.0/8,fd00::/8,::1, or unix";

/** Most blocks of a list: each is compared with each hop. */
const BLOCKS_MAX = 256;

/** Most proxies that a request may have come through; behind more, the client is not looked for. */
const HOPS_MAX = 64;

/** Longest host: a domain name (RFC 1035 section 2.3.4) and a port. */
const HOST_LENGTH_MAX = 261;

interface Block {
  readonly address: IpAddress;
  /** Of 128: an IPv4 block has 96 more than it was written with. */
  readonly bits: number;
}

/** The proxies whose word about a request is taken. */
export interface Cidrs {
  readonly blocks: readonly Block[];
  /** Whether who comes by a Unix socket is one of them. */
  readonly unix: boolean;
}

/** The other end of a connection. */
export interface Peer {
  /** Null when it has none, as on a Unix socket, or is gone already. */
  readonly remoteAddress: string | null;
  /** Whether it came by a Unix socket; no address alone does not say so. */
  readonly unix?: boolean;
  /** Whether the connection is TLS; without it the request's own address says so. */
  readonly isSecure?: boolean;
}

/** Where a request came from, and by which address it asked for the registry. */
export interface Origin {
  /** The client's address in canonical text, or null on a Unix socket. */
  readonly address: string | null;
  readonly scheme: "http" | "https";
  /** Host and port as the client wrote them, fit to stand in an address; null when it sent none that is. */
  readonly host: string | null;
}

/** Reads `10.0.0.0/8,::1,unix`; null when it is none (see CIDRS_WANTED). Bits after the prefix are ignored. */
export function parseCidrs(text: string): Cidrs | null {
  const entries = text.split(",").map((entry) => entry.trim());
  if (entries.length > BLOCKS_MAX) return null;
  const blocks: Block[] = [];
  for (const entry of entries.filter((candidate) => candidate !== "unix")) {
    const block = parseBlock(entry);
    if (block === null) return null;
    blocks.push(block);
  }
  return { blocks, unix: entries.includes("unix") };
}

/**
 * Who asks, and for which host. What proxies say of it counts only when the peer is one of `trust`: then the client is
 * the right-most address of X-Forwarded-For that is no trusted proxy, and scheme and host are the first of
 * X-Forwarded-Proto and X-Forwarded-Host. A request without any of the three is read by its Forwarded header
 * (RFC 7239): never both, because a proxy that sets the ones lets the other pass as the client wrote it.
 */
export function originOf(request: Request, peer: Peer, trust: Cidrs | null): Origin {
  if (trust === null || !isTrustedPeer(peer, trust)) return directOrigin(request, peer);
  const { headers } = request;
  const hops = headers.get("X-Forwarded-For");
  const scheme = headers.get("X-Forwarded-Proto");
  const host = headers.get("X-Forwarded-Host");
  const direct = directOrigin(request, peer);
  if (hops !== null || scheme !== null || host !== null) {
    return {
      address: findClient(hops?.split(",") ?? [], trust) ?? direct.address,
      scheme: parseScheme(firstOf(scheme)) ?? direct.scheme,
      host: parseHost(firstOf(host)) ?? direct.host,
    };
  }
  const forwarded = headers.get("Forwarded");
  const elements = forwarded === null ? null : parseForwarded(forwarded);
  if (elements === null) return direct;
  return {
    address:
      findClient(
        elements.map((element) => element.get("for") ?? ""),
        trust,
      ) ?? direct.address,
    scheme: parseScheme(elements[0]?.get("proto") ?? "") ?? direct.scheme,
    host: parseHost(elements[0]?.get("host") ?? "") ?? direct.host,
  };
}

function directOrigin(request: Request, { remoteAddress, isSecure }: Peer): Origin {
  return {
    address: remoteAddress === null ? null : canonical(remoteAddress),
    scheme: (isSecure ?? request.url.startsWith("https:")) ? "https" : "http",
    // Most requests never ask.
    get host() {
      return parseHost(request.headers.get("Host") ?? "");
    },
  };
}

/** A socket that takes both families shows IPv4 as ::ffff:192.0.2.1; the zone of a link-local address says nothing. */
function canonical(remoteAddress: string): string {
  if (!remoteAddress.includes(":")) return remoteAddress;
  const ip = parseIp(remoteAddress.replace(/%.*$/s, ""));
  return ip === null ? remoteAddress : formatIp(ip);
}

/** Whether the peer is one of the proxies of `trust`. */
export function isTrustedPeer({ remoteAddress, unix = false }: Peer, trust: Cidrs): boolean {
  if (unix) return trust.unix;
  const ip = remoteAddress === null ? null : parseIp(remoteAddress.replace(/%.*$/s, ""));
  return ip !== null && isTrusted(ip, trust);
}

function isTrusted(ip: IpAddress, { blocks }: Cidrs): boolean {
  return blocks.some(
    ({ address, bits }) => address.version === ip.version && sharesPrefix(address, ip, bits),
  );
}

/**
 * The right-most hop that is no trusted proxy; the first when all are. Each hop was written by the one after it, so
 * beyond what cannot be read nothing is known: null.
 */
function findClient(hops: readonly string[], trust: Cidrs): string | null {
  if (hops.length > HOPS_MAX) return null;
  let client: IpAddress | null = null;
  for (const hop of hops.toReversed()) {
    client = parseHop(hop.trim());
    if (client === null) return null;
    if (!isTrusted(client, trust)) break;
  }
  return client === null ? null : formatIp(client);
}

/** `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, each with or without a port; IPv6 with a port has brackets. */
function parseHop(text: string): IpAddress | null {
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d{1,5})?$/.exec(text) ?? [];
  if (bracketed !== undefined) return bracketed.includes(":") ? parseIp(bracketed) : null;
  return parseIp(dotted ?? text);
}

function parseBlock(text: string): Block | null {
  const [, base = "", prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseIp(base);
  if (address === null) return null;
  const written = base.includes(":") ? 128 : 32;
  const length = prefix === undefined ? written : Number(prefix);
  const bits = length + 128 - written;
  // ::/0 is all of IPv6, and IPv4 lies in it only as a way of writing: ::ffff:0:0/96 says that.
  return length > written || (address.version === 4 && bits < 96) ? null : { address, bits };
}

const firstOf = (list: string | null): string => list?.split(",", 1)[0]?.trim() ?? "";

function parseScheme(text: string): Origin["scheme"] | null {
  const scheme = text.toLowerCase();
  return scheme === "http" || scheme === "https" ? scheme : null;
}

const DOMAIN = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?$/i;

/** A host and port that may stand in an address as they are, or null. */
function parseHost(text: string): string | null {
  if (text.length > HOST_LENGTH_MAX) return null;
  const [, ipv6, domain = "", port = "0"] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (Number(port) > 65_535) return null;
  const isHost = ipv6 === undefined ? DOMAIN.test(domain) : ipv6.includes(":") && parseIp(ipv6) !== null;
  return isHost ? text : null;
}

/** Parameters of each element of a Forwarded header (RFC 7239 section 4), names in lower case; null when malformed. */
function parseForwarded(text: string): readonly ReadonlyMap<string, string>[] | null {
  const pair =
    /\s*([!#$%&'*+.^_`|~0-9a-z-]+)=(?:([!#$%&'*+.^_`|~0-9a-z-]+)|"((?:[^"\\]|\\.)*)")\s*([;,]|$)/iy;
  const elements: Map<string, string>[] = [];
  let element = new Map<string, string>();
  while (pair.lastIndex < text.length) {
    const [, name = "", token, quoted = "", end] = pair.exec(text) ?? [];
    const key = name.toLowerCase();
    if (name === "" || element.has(key)) return null;
    element.set(key, token ?? quoted.replaceAll(/\\(.)/gs, "$1"));
    if (end === ";") continue;
    elements.push(element);
    element = new Map();
  }
  return element.size === 0 ? elements : null;
}
