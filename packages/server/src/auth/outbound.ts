import { isIP } from "node:net";
import { parseStrictJson } from "@stowage/oci/strict-json";
import { isLoopbackAddress, isPublicAddress } from "./public-address.ts";

/** Largest metadata document, in bytes. Real ones have 5 KiB. */
export const METADATA_BYTES_MAX = 64 * 1_024;

/** Largest set of keys, in bytes: 64 with their certificates. */
export const JWKS_BYTES_MAX = 256 * 1_024;

/** How long an answer may take, with looking up the address, in milliseconds. */
export const OUTBOUND_MS_MAX = 5_000;

export interface OutboundLimits {
  readonly bytesMax: number;
  /** {@link OUTBOUND_MS_MAX} by default. */
  readonly timeoutMs?: number;
  /** The operator wrote this host down, so it may be a private address. Else only the public internet is asked. */
  readonly isTrusted: boolean;
  /** Plain http to other machines than this one; false by default. */
  readonly allowsHttp?: boolean;
}

export type Fetched =
  | { readonly ok: true; readonly value: unknown }
  /** For the log: what failed, with the address. */
  | { readonly ok: false; readonly problem: string };

/** Gets a JSON document of somebody else. Never throws. */
export type FetchJson = (url: string, limits: OutboundLimits) => Promise<Fetched>;

export interface OutboundPorts {
  /** Addresses of a host name, at least one. @throws when there is none */
  lookup(host: string): Promise<readonly string[]>;
  fetch(url: string, init: BunFetchRequestInit): Promise<Response>;
  /** Certificates that are trusted besides the system's, in PEM. */
  readonly certificateAuthorities?: string;
}

export interface OutboundRequest {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  /** None for GET. */
  readonly body: string | null;
}

/** Sends a request to somebody else; the answer's body is already here. @throws Error saying what failed */
export type Send = (url: string, request: OutboundRequest, limits: OutboundLimits) => Promise<Response>;

/**
 * The name is resolved once, and the request goes to the address that was judged: a name that answers differently the
 * next time (DNS rebinding) leads nowhere. No redirect is followed, and no credential sent that is not in the request.
 */
export function createSend(ports: OutboundPorts): Send {
  return async (text, request, limits) => {
    const signal = AbortSignal.timeout(limits.timeoutMs ?? OUTBOUND_MS_MAX);
    const { url, address } = await withAbort(requireDestination(text, limits, ports), signal);
    const response = await ports.fetch(pinned(url, address), initFor(url, { request, signal, ports }));
    const bytes = await readBody(response, limits.bytesMax);
    const { status, headers } = response;
    return new Response(bytes.byteLength === 0 ? null : bytes, { status, headers });
  };
}

/** {@link FetchJson} through {@link createSend}. */
export function createFetchJson(ports: OutboundPorts): FetchJson {
  const send = createSend(ports);
  return async (url, limits) => {
    try {
      const response = await send(url, GET_JSON, limits);
      if (response.status !== 200) throw new Error(`the answer is ${response.status}; wanted 200`);
      return { ok: true, value: parseBody(await response.bytes()) };
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      return { ok: false, problem: `get ${JSON.stringify(url.slice(0, URL_SHOWN_MAX))}: ${problem}` };
    }
  };
}

const GET_JSON: OutboundRequest = { method: "GET", headers: { Accept: "application/json" }, body: null };

/** Characters of an address that a message shows. */
const URL_SHOWN_MAX = 200;

/** The system's resolver, for {@link OutboundPorts}. */
export async function lookupHost(host: string): Promise<readonly string[]> {
  return (await Bun.dns.lookup(host)).map(({ address }) => address);
}

interface Destination {
  readonly url: URL;
  readonly address: string;
}

async function requireDestination(
  text: string,
  limits: OutboundLimits,
  { lookup }: OutboundPorts,
): Promise<Destination> {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    throw new Error("no address of https or http");
  }
  if (url.username !== "" || url.password !== "") throw new Error("the address holds credentials");
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const addresses = isIP(host) === 0 ? await lookup(host) : [host];
  const address = addresses[0];
  if (address === undefined) throw new Error("the host has no address");
  // All of them, not only the one that is used: a name with both kinds of address is up to no good.
  if (!limits.isTrusted && !addresses.every(isPublicAddress)) {
    throw new Error("the host is not on the public internet, and the configuration does not name it");
  }
  if (url.protocol === "http:" && limits.allowsHttp !== true && !isLoopbackAddress(address)) {
    throw new Error("wanted https");
  }
  return { url, address };
}

function pinned(url: URL, address: string): string {
  const host = isIP(address) === 6 ? `[${address}]` : address;
  const port = url.port === "" ? "" : `:${url.port}`;
  return `${url.protocol}//${host}${port}${url.pathname}${url.search}`;
}

interface Sending {
  readonly request: OutboundRequest;
  readonly signal: AbortSignal;
  readonly ports: OutboundPorts;
}

function initFor(url: URL, { request, signal, ports }: Sending): BunFetchRequestInit {
  const { certificateAuthorities: ca } = ports;
  const isName = isIP(url.hostname.replace(/^\[(.*)\]$/, "$1")) === 0;
  return {
    method: request.method,
    headers: { ...request.headers, "Accept-Encoding": "identity", Host: url.host, "User-Agent": "stowage" },
    ...(request.body === null ? {} : { body: request.body }),
    redirect: "manual",
    signal,
    // A connection to this address may not be used again under another name.
    keepalive: false,
    // The certificate must be the name's, not the address's.
    tls: { ...(isName ? { serverName: url.hostname } : {}), ...(ca === undefined ? {} : { ca }) },
  };
}

async function readBody(response: Response, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > bytesMax) throw new Error(`the answer is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseBody(bytes: Uint8Array): unknown {
  const json = parseStrictJson(bytes);
  if (!json.ok) throw new Error(`the answer is ${json.problem}`);
  return json.value;
}

/** Looking up a name cannot be stopped, but need not be waited for. */
async function withAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(new Error("no answer in time"));
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
