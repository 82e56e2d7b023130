import { AUTH_SETTINGS, type AuthSettings, readAuthSettings } from "./auth-settings.ts";
import { CIDRS_WANTED, type Cidrs, parseCidrs } from "../net/client-address.ts";
import { parseDuration } from "./duration.ts";
import { parseRate, type Rate, RATE_WANTED } from "./rate.ts";
import { duration, environmentName, option, type Setting, toggle } from "./setting.ts";
import { LOG_LEVELS, type LogLevel } from "../observe/log.ts";

const LOG_FORMATS = ["auto", "text", "json"] as const;
type LogFormat = (typeof LOG_FORMATS)[number];

const SCHEMA1_MODES = ["off", "asked", "table"] as const;

const CLIENT_AUTH = ["optional", "require"] as const;

/** Everything that can be set, with parsed values. */
export interface Settings {
  readonly hostname: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly dataDir: string;
  /** Keep everything in memory; `dataDir` is not touched. */
  readonly ephemeral: boolean;
  readonly tls: TlsSettings | null;
  /** Most connections of one remote address; 0 does not limit. */
  readonly connectionsPerAddress: number;
  readonly readOnly: boolean;
  readonly allowSparse: boolean;
  /** What is done for clients that know nothing newer than Docker's schema 1. */
  readonly schema1: (typeof SCHEMA1_MODES)[number];
  /** Null: everybody may do everything. */
  readonly auth: AuthSettings | null;
  /** Address under which the registry is known, without a slash at the end; null: what each request says. */
  readonly publicUrl: string | null;
  readonly trustedProxies: Cidrs | null;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** How long requests in flight may take after SIGTERM, in seconds. */
  readonly drainSeconds: number;
  /** Milliseconds for which entries of the audit trail are kept. */
  readonly auditKeepMs: number;
  readonly limits: RateLimitSettings;
  readonly garbage: GarbageSettings;
  readonly scrub: ScrubSettings;
  /** Rest between two runs of the retention policies, in milliseconds. */
  readonly retentionIntervalMs: number;
}

/** How often may be asked; null does not limit. */
export interface RateLimitSettings {
  readonly requestsPerAddress: Rate | null;
  readonly requestsPerAccount: Rate | null;
  readonly pulls: Rate | null;
}

export interface TlsSettings {
  readonly keyFile: string;
  readonly certFile: string;
  /** CAs of clients; null: clients are not asked for a certificate. */
  readonly clientCaFile: string | null;
  /** Refuse clients without a certificate. */
  readonly requireClientCertificate: boolean;
}

/** How the bytes of blobs are read again. */
export interface ScrubSettings {
  /** Milliseconds in which every blob is verified once; null: never by itself. */
  readonly intervalMs: number | null;
  /** 0 does not hold back. */
  readonly bytesPerSecond: number;
}

/** When space is freed. Milliseconds, unless said. */
export interface GarbageSettings {
  readonly intervalMs: number;
  readonly leaseMs: number;
  readonly graceMs: number;
  readonly undoMs: number;
  /** Rows. */
  readonly batchMax: number;
  readonly pauseMs: number;
  /** Null keeps untagged manifests. */
  readonly untaggedMs: number | null;
}

const ADDRESS = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]*)):(\d{1,5})$/;

export const SETTINGS = [
  option(
    "addr",
    "HOST:PORT",
    "127.0.0.1:5000",
    "address to listen on",
    "HOST:PORT, [IPV6]:PORT or :PORT",
    (text) => {
      const match = ADDRESS.exec(text);
      return match !== null && Number(match[3]) <= 65_535;
    },
  ),
  option("data-dir", "DIR", "stowage-data", "folder for metadata and blobs", "a path", (text) => text !== ""),
  toggle("ephemeral", "keep everything in memory: what was pushed is gone when the server ends"),
  option(
    "tls-cert",
    "FILE",
    null,
    "certificate chain (PEM); needs --tls-key",
    "a path",
    (text) => text !== "",
  ),
  option("tls-key", "FILE", null, "private key (PEM); needs --tls-cert", "a path", (text) => text !== ""),
  option(
    "tls-client-ca",
    "FILE",
    null,
    "CAs of client certificates (PEM); needs --tls-cert",
    "a path",
    (text) => text !== "",
  ),
  option(
    "tls-client-auth",
    "MODE",
    "optional",
    "client certificates are `optional`, or `require`d of everybody; needs --tls-client-ca",
    CLIENT_AUTH.join(" or "),
    (text) => CLIENT_AUTH.some((mode) => mode === text),
  ),
  option(
    "connections-per-address",
    "N",
    "1024",
    "most connections of one address; 0 does not limit",
    "a whole number up to 1000000",
    (text) => /^\d{1,7}$/.test(text) && Number(text) <= 1_000_000,
  ),
  ...AUTH_SETTINGS,
  option("log-level", "LEVEL", "info", "least severity to log", LOG_LEVELS.join(", "), (text) =>
    LOG_LEVELS.some((level) => level === text),
  ),
  option(
    "log-format",
    "FORMAT",
    "auto",
    "text, json, or auto: text on a terminal",
    "auto, text or json",
    (text) => LOG_FORMATS.some((format) => format === text),
  ),
  option(
    "drain-seconds",
    "N",
    "30",
    "time for requests in flight after SIGTERM",
    "a whole number up to 3600",
    (text) => /^\d{1,4}$/.test(text) && Number(text) <= 3_600,
  ),
  duration("gc-interval", "1m", "rest between two runs of the garbage collector"),
  duration("gc-lease", "24h", "time for which a pusher may rely on a blob that was confirmed"),
  duration("gc-grace", "1h", "longest download: time after which a collected object is deleted"),
  duration("undo-time", "24h", "time for which a deletion can be undone and still takes space"),
  option(
    "gc-untagged",
    "keep|TIME",
    "keep",
    "keep untagged manifests, or delete them after this time",
    "keep, or a time such as 30d",
    (text) => text === "keep" || parseDuration(text) !== null,
  ),
  option(
    "gc-batch",
    "N",
    "500",
    "most rows that one transaction of the collector looks at",
    "a whole number from 10 to 10000",
    (text) => /^\d{2,5}$/.test(text) && Number(text) >= 10 && Number(text) <= 10_000,
  ),
  duration("gc-pause", "5ms", "rest of the collector after each transaction"),
  option(
    "scrub-interval",
    "TIME|off",
    "30d",
    "read every blob again, and compare it with its digest, once in this time",
    "off, or a time such as 30d",
    (text) => text === "off" || parseDuration(text) !== null,
  ),
  option(
    "scrub-rate",
    "MIB",
    "50",
    "MiB per second that scrubbing reads; 0 does not hold back",
    "a whole number up to 100000",
    (text) => /^\d{1,6}$/.test(text) && Number(text) <= 100_000,
  ),
  duration("retention-interval", "1h", "rest between two runs of the retention policies"),
  option(
    "public-url",
    "URL",
    null,
    "address under which clients reach the registry",
    "http:// or https:// and a host, such as https://registry.example.com",
    isPublicUrl,
  ),
  option(
    "trusted-proxies",
    "CIDR,...",
    null,
    "proxies whose X-Forwarded headers count",
    CIDRS_WANTED,
    (text) => parseCidrs(text) !== null,
  ),
  duration("audit-keep", "90d", "time for which the audit trail is kept"),
  rate("limit-requests", "requests of one address"),
  rate("limit-account", "requests of one account"),
  rate("limit-pulls", "manifests that one account, or an address without one, gets"),
  toggle("read-only", "refuse pushes and deletions"),
  toggle("allow-sparse", "accept manifests whose content is not in the registry"),
  option(
    "schema1",
    "MODE",
    "asked",
    "Docker's schema 1: `off`; for who has `asked` for it alone; or by the `table`, also for who asks for nothing",
    "off, asked or table",
    (text) => SCHEMA1_MODES.some((mode) => mode === text),
  ),
] as const satisfies readonly Setting[];

/** What was said on the command line and in the environment. */
export interface SettingSources {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export type SettingsResult =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Reads the settings: flags win over environment variables, those over defaults. All problems are reported at once. */
export function readSettings({ args, env }: SettingSources): SettingsResult {
  const problems: string[] = [];
  const flags = readFlags(args, problems);
  const values = new Map<string, string>();
  for (const setting of SETTINGS) {
    const value = readValue(setting, flags, env, problems);
    if (value !== null) values.set(setting.name, value);
  }
  const settings = toSettings(values, problems);
  return problems.length === 0 ? { ok: true, settings } : { ok: false, problems };
}

function readFlags(args: readonly string[], problems: string[]): ReadonlyMap<string, string> {
  const flags = new Map<string, string>();
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    const [, name = "", inline] = /^--([a-z0-9-]+)(?:=(.*))?$/s.exec(arg) ?? [];
    const setting = SETTINGS.find((candidate) => candidate.name === name);
    if (setting === undefined) {
      problems.push(`unknown argument "${arg}"; see \`stowage serve --help\``);
      continue;
    }
    if (setting.kind === "switch") {
      flags.set(name, inline ?? "true");
      continue;
    }
    const value = inline ?? args[++at];
    if (value === undefined) problems.push(`--${name} has no value; wanted ${setting.wanted}`);
    else flags.set(name, value);
  }
  return flags;
}

function readValue(
  setting: Setting,
  flags: ReadonlyMap<string, string>,
  env: SettingSources["env"],
  problems: string[],
): string | null {
  const variable = environmentName(setting);
  const flag = flags.get(setting.name);
  const text = flag ?? env[variable];
  if (text === undefined) return setting.kind === "switch" ? null : setting.fallback;
  const where = flag === undefined ? variable : `--${setting.name}`;
  const accepts = setting.kind === "switch" ? ["true", "false"].includes(text) : setting.accepts(text);
  if (!accepts) {
    const wanted = setting.kind === "switch" ? "true or false" : setting.wanted;
    problems.push(`${where} is "${text}"; wanted ${wanted}`);
  }
  return text;
}

function toSettings(values: ReadonlyMap<string, string>, problems: string[]): Settings {
  const text = (name: (typeof SETTINGS)[number]["name"]) => values.get(name) ?? null;
  const [, ipv6, host, port] = ADDRESS.exec(text("addr") ?? "") ?? [];
  const hostname = ipv6 ?? host ?? "";
  const certFile = text("tls-cert");
  const keyFile = text("tls-key");
  const clientCaFile = text("tls-client-ca");
  const requireClientCertificate = text("tls-client-auth") === "require";
  const tls =
    certFile !== null && keyFile !== null
      ? { certFile, keyFile, clientCaFile, requireClientCertificate }
      : null;
  if (clientCaFile !== null && certFile === null && keyFile === null) {
    problems.push("--tls-client-ca needs --tls-cert and --tls-key, which are not set");
  }
  if (requireClientCertificate && clientCaFile === null) {
    problems.push(
      `--tls-client-auth is "require" and --tls-client-ca is not set; wanted the CAs of the clients`,
    );
  }
  if ((certFile === null) !== (keyFile === null)) {
    problems.push(
      `--tls-cert and --tls-key go together; only --tls-${certFile === null ? "key" : "cert"} is set`,
    );
  }
  const publicUrl = text("public-url")?.replace(/\/$/, "") ?? null;
  const isOpen = port !== undefined && !isLoopback(hostname);
  const auth = readAuthSettings(text, { isOpen, address: text("addr") ?? "", publicUrl }, problems);
  return {
    hostname: hostname === "" ? "0.0.0.0" : hostname,
    port: Number(port),
    dataDir: text("data-dir") ?? "",
    tls,
    connectionsPerAddress: Number(text("connections-per-address")),
    ephemeral: text("ephemeral") === "true",
    readOnly: text("read-only") === "true",
    allowSparse: text("allow-sparse") === "true",
    schema1: SCHEMA1_MODES.find((mode) => mode === text("schema1")) ?? "asked",
    auth,
    publicUrl,
    trustedProxies: parseCidrs(text("trusted-proxies") ?? ""),
    logLevel: LOG_LEVELS.find((level) => level === text("log-level")) ?? "info",
    logFormat: LOG_FORMATS.find((format) => format === text("log-format")) ?? "auto",
    drainSeconds: Number(text("drain-seconds")),
    garbage: {
      intervalMs: parseDuration(text("gc-interval") ?? "") ?? 0,
      leaseMs: parseDuration(text("gc-lease") ?? "") ?? 0,
      graceMs: parseDuration(text("gc-grace") ?? "") ?? 0,
      undoMs: parseDuration(text("undo-time") ?? "") ?? 0,
      batchMax: Number(text("gc-batch")),
      pauseMs: parseDuration(text("gc-pause") ?? "") ?? 0,
      untaggedMs: parseDuration(text("gc-untagged") ?? ""),
    },
    auditKeepMs: parseDuration(text("audit-keep") ?? "") ?? 0,
    limits: {
      requestsPerAddress: parseRate(text("limit-requests") ?? ""),
      requestsPerAccount: parseRate(text("limit-account") ?? ""),
      pulls: parseRate(text("limit-pulls") ?? ""),
    },
    retentionIntervalMs: parseDuration(text("retention-interval") ?? "") ?? 0,
    scrub: {
      intervalMs: parseDuration(text("scrub-interval") ?? ""),
      bytesPerSecond: Number(text("scrub-rate")) * 1024 * 1024,
    },
  };
}

function rate<Name extends string>(name: Name, of: string) {
  return option(
    name,
    "N/TIME",
    null,
    `most ${of} in a time`,
    RATE_WANTED,
    (text) => parseRate(text) !== null,
  );
}

/** A path is refused: clients find the registry at the root of a host. */
function isPublicUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`;
}

export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
