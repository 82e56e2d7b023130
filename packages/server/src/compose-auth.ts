import { readFile } from "node:fs/promises";
import { Administration } from "./auth/administration.ts";
import { type Auth, createAuth, createDirectory, type Directory, type ExternalServer } from "./auth/auth.ts";
import { parseClaimPath } from "./auth/claims.ts";
import { ExternalIssuer, type KeySource } from "./auth/external-issuer.ts";
import { ExternalTokens } from "./auth/external-tokens.ts";
import { HtpasswdFile } from "./auth/htpasswd.ts";
import { parseKeyBundle } from "./auth/key-bundle.ts";
import { KeyedHash } from "./auth/keyed-hash.ts";
import { createFetchJson, lookupHost, type OutboundPorts } from "./auth/outbound.ts";
import { People } from "./auth/people.ts";
import { RemoteKeys } from "./auth/remote-keys.ts";
import { randomText } from "./auth/secrets.ts";
import { WorkloadTokens } from "./auth/workload-tokens.ts";
import type { AuthSettings, ExternalSettings, SingleSignOnSettings } from "./config/auth-settings.ts";
import type { RateLimitSettings } from "./config/settings.ts";
import { LoginThrottle } from "./http/login-throttle.ts";
import { createLogin, type Login } from "./http/oidc/login.ts";
import { RateLimits } from "./http/rate-limits.ts";
import type { Metadata } from "./metadata/metadata.ts";
import type { Log } from "./observe/log.ts";

/** The longest life of another server's token that is believed, and for how long it still finishes an upload. */
const FOREIGN_TOKEN_SECONDS_MAX = 24 * 3_600;
const UPLOAD_GRACE_SECONDS = 24 * 3_600;

/** Random bytes that seal what browsers keep during a login. */
const LOGIN_SECRET_BYTES = 32;
const LOGIN_SECRET_DOCUMENT = "login-secret";

const OUTBOUND: OutboundPorts = { lookup: lookupHost, fetch: (url, init) => fetch(url, init) };

const now = Date.now;
const monotonic = () => performance.now();

/** Ways in, what they lead to, and what manages both. */
export interface ComposedAuth {
  /** Null: no authentication. */
  readonly auth: Auth | null;
  /** Null: people have no single sign-on. */
  readonly login: Login | null;
  readonly administration: Administration;
}

interface Parts {
  readonly metadata: Metadata;
  readonly log: Log;
  readonly publicUrl: string | null;
}

/** @throws Error when a file or setting of it cannot be used */
export async function composeAuth(settings: AuthSettings | null, parts: Parts): Promise<ComposedAuth> {
  const { metadata } = parts;
  const keyedHash = new KeyedHash();
  const htpasswdFile = settings?.htpasswdFile ?? null;
  const htpasswd =
    htpasswdFile === null ? null : await HtpasswdFile.open(htpasswdFile, { log: parts.log, monotonic });
  const passwordChecksMax = Math.max(1, Math.floor(navigator.hardwareConcurrency / 2));
  const options = { metadata, htpasswd, passwordChecksMax, wakeAfter, now, monotonic };
  // Without authentication accounts can be prepared for it.
  const directory = createDirectory(options, keyedHash);
  const workloads = composeWorkloads(directory, parts);
  const administration = new Administration({
    directory,
    workloads,
    accounts: metadata.accounts,
    tokens: metadata.tokens,
    now,
  });
  if (settings === null) return { auth: null, login: null, administration };
  const { service, tokenMs, external, singleSignOn } = settings;
  const auth = createAuth({
    ...options,
    directory,
    keyedHash,
    service,
    tokenSeconds: Math.floor(tokenMs / 1_000),
    external: external === null ? null : await composeExternal(external, { ...parts, directory, keyedHash }),
    workloads,
    gate: new LoginThrottle({ monotonic, wakeAfter, seed: randomSeed() }),
  });
  const login = singleSignOn === null ? null : await composeLogin(singleSignOn, { ...parts, directory });
  return { auth, login, administration };
}

function composeWorkloads({ accounts }: Directory, { metadata, log }: Parts): WorkloadTokens {
  return new WorkloadTokens({
    documents: metadata.documents,
    accounts,
    fetchJson: createFetchJson(OUTBOUND),
    now,
    monotonic,
    report: (problem) => log.warn(problem),
  });
}

async function composeExternal(
  { realm, service, issuer, keys }: ExternalSettings,
  { directory, keyedHash, log }: Parts & { readonly directory: Directory; readonly keyedHash: KeyedHash },
): Promise<ExternalServer> {
  const source = await composeKeys(keys, log);
  const verifier = new ExternalIssuer({
    issuer,
    service,
    keys: source,
    now,
    lifetimeSecondsMax: FOREIGN_TOKEN_SECONDS_MAX,
    graceSeconds: UPLOAD_GRACE_SECONDS,
  });
  const { accounts } = directory;
  return { realm, service, tokens: new ExternalTokens({ issuer: verifier, accounts, keyedHash, monotonic }) };
}

async function composeKeys(place: string, log: Log): Promise<KeySource> {
  if (/^https?:\/\//.test(place)) {
    return new RemoteKeys({
      place: { kind: "jwks", url: place },
      fetchJson: createFetchJson(OUTBOUND),
      monotonic,
      report: (problem) => log.warn(problem),
    });
  }
  const text = await readText("--auth-token-keys", place);
  return await parseKeyBundle(text).catch((cause: unknown) => {
    throw new Error(
      `--auth-token-keys is "${place}": ${cause instanceof Error ? cause.message : "unusable"}`,
      {
        cause,
      },
    );
  });
}

async function composeLogin(
  settings: SingleSignOnSettings,
  { metadata, log, publicUrl, directory }: Parts & { readonly directory: Directory },
): Promise<Login> {
  const { issuer, clientId, clientSecretFile, scope, nameClaim, groupsClaim } = settings;
  const secretText =
    clientSecretFile === null ? null : (await readText("--oidc-client-secret", clientSecretFile)).trim();
  return createLogin({
    issuer,
    clientId,
    clientSecret: secretText,
    publicUrl: publicUrl ?? "",
    scope,
    nameClaim: nameClaim === null ? null : parseClaimPath(nameClaim),
    groupsClaim: parseClaimPath(groupsClaim),
    sessions: new People({
      accounts: metadata.accounts,
      tokens: directory.tokens,
      stored: metadata.tokens,
      now,
    }),
    secret: await loginSecret(metadata),
    outbound: OUTBOUND,
    now,
    monotonic,
    report: (problem) => log.warn(problem),
  });
}

/** The same on every replica: whoever is first writes it down. */
async function loginSecret({ documents }: Metadata): Promise<Uint8Array> {
  const json = JSON.stringify(randomText(LOGIN_SECRET_BYTES));
  await documents.replace({ name: LOGIN_SECRET_DOCUMENT, json, by: null }, null);
  const stored: unknown = JSON.parse((await documents.find(LOGIN_SECRET_DOCUMENT)) ?? json);
  return Buffer.from(String(stored), "base64url");
}

async function readText(setting: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new Error(`${setting} is "${path}", which cannot be read`, { cause });
  }
}

export function composeLimits(rules: RateLimitSettings): RateLimits | null {
  if (Object.values(rules).every((rate) => rate === null)) return null;
  return new RateLimits({ rules, monotonic, wakeAfter, seed: randomSeed() });
}

function wakeAfter(ms: number, wake: () => void): () => void {
  const timer = setTimeout(wake, ms);
  return () => clearTimeout(timer);
}

/** What attackers cannot know of a table of counts. */
function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}
