import { parseDuration } from "./duration.ts";
import { duration, option } from "./setting.ts";

/** Longest life of a registry token, in milliseconds. */
const TOKEN_MS_MAX = 3_600_000;
/** Docker takes a shorter one for a minute all the same. */
const TOKEN_MS_MIN = 60_000;

/** Who may do what. */
export interface AuthSettings {
  /** Whether a first administrator is made when there is no account. */
  readonly hasAccounts: boolean;
  readonly htpasswdFile: string | null;
  readonly service: string;
  readonly tokenMs: number;
  readonly external: ExternalSettings | null;
  readonly singleSignOn: SingleSignOnSettings | null;
}

/** An OpenID provider by which people sign in to the page. */
export interface SingleSignOnSettings {
  readonly issuer: string;
  readonly clientId: string;
  /** Null: a public client. */
  readonly clientSecretFile: string | null;
  readonly scope: string;
  readonly nameClaim: string | null;
  readonly groupsClaim: string;
}

/** A token server beside the registry. */
export interface ExternalSettings {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** File with a key set (JWKS) or with certificates or public keys (PEM), or address of a key set. */
  readonly keys: string;
}

const isText = (text: string) => text !== "";
const isUrl = (text: string) => /^https?:$/.test(URL.parse(text)?.protocol ?? "");

export const AUTH_SETTINGS = [
  option(
    "auth",
    "none|accounts",
    null,
    "who may do what; `none`: everybody everything; `accounts`: what the access rules say",
    "none or accounts",
    (text) => text === "none" || text === "accounts",
  ),
  option(
    "auth-htpasswd",
    "FILE",
    null,
    "accounts with bcrypt hashes, read again when it changes",
    "a path",
    isText,
  ),
  option(
    "auth-service",
    "NAME",
    "stowage",
    "name of the registry in its tokens",
    "letters, digits, dots, dashes and colons",
    (text) => /^[A-Za-z0-9.:_-]{1,255}$/.test(text),
  ),
  duration("auth-token-time", "15m", "life of a registry token, at most 1h"),
  option(
    "auth-token-realm",
    "URL",
    null,
    "token endpoint of another server that issues tokens",
    "a URL",
    isUrl,
  ),
  option(
    "auth-token-service",
    "NAME",
    null,
    "service that the other server knows this one by",
    "a name",
    isText,
  ),
  option("auth-token-issuer", "NAME", null, "issuer in the other server's tokens", "a name", isText),
  option(
    "auth-token-keys",
    "FILE|URL",
    null,
    "the other server's keys: a key set (JWKS), or certificates (PEM)",
    "a path or a URL",
    isText,
  ),
  option(
    "oidc-issuer",
    "URL",
    null,
    "OpenID provider by which people sign in; needs --public-url",
    "a URL",
    isUrl,
  ),
  option("oidc-client-id", "ID", null, "what the provider knows the registry by", "an id", isText),
  option(
    "oidc-client-secret",
    "FILE",
    null,
    "file with the client's secret; none: a public client",
    "a path",
    isText,
  ),
  option("oidc-scope", "SCOPES", "openid profile email", "what the provider is asked for", "scopes", isText),
  option(
    "oidc-name-claim",
    "CLAIM",
    null,
    "claim with the name; else preferred_username, email or sub",
    "a claim",
    isText,
  ),
  option("oidc-groups-claim", "CLAIM", "groups", "claim with the groups", "a claim", isText),
] as const;

type Text = (name: (typeof AUTH_SETTINGS)[number]["name"]) => string | null;

/** Settings of the other server, which go together. */
const EXTERNAL = ["auth-token-realm", "auth-token-service", "auth-token-issuer", "auth-token-keys"] as const;

/** Null: no authentication. Says `problems` what does not fit together. */
export function readAuthSettings(
  text: Text,
  {
    isOpen,
    address,
    publicUrl,
  }: { readonly isOpen: boolean; readonly address: string; readonly publicUrl: string | null },
  problems: string[],
): AuthSettings | null {
  const mode = text("auth");
  const external = readExternal(text, problems);
  const htpasswdFile = text("auth-htpasswd");
  const asked = ["auth-htpasswd", ...EXTERNAL, "oidc-issuer"] as const;
  const given = asked.filter((name) => text(name) !== null);
  if (mode === "none" && given.length > 0) {
    problems.push(`--auth is none and --${given.join(", --")} is set; say one or the other`);
  }
  if (mode === null && given.length === 0) {
    if (isOpen) {
      problems.push(
        `--addr is "${address}", which others can reach, and no authentication is set; say --auth accounts, or --auth none if everybody may push and delete`,
      );
    }
    return null;
  }
  if (mode === "none") return null;
  const tokenMs = parseDuration(text("auth-token-time") ?? "") ?? 0;
  if (tokenMs > TOKEN_MS_MAX || tokenMs < TOKEN_MS_MIN) {
    problems.push(`--auth-token-time is "${text("auth-token-time")}"; wanted 1m to 1h`);
  }
  return {
    hasAccounts: mode === "accounts",
    htpasswdFile,
    service: text("auth-service") ?? "",
    tokenMs,
    external,
    singleSignOn: readSingleSignOn(text, publicUrl, problems),
  };
}

function readSingleSignOn(
  text: Text,
  publicUrl: string | null,
  problems: string[],
): SingleSignOnSettings | null {
  const [issuer, clientId] = [text("oidc-issuer"), text("oidc-client-id")];
  if (issuer === null) return null;
  if (clientId === null)
    problems.push("--oidc-client-id is missing; the provider said it when you registered");
  if (publicUrl === null) problems.push("--public-url is missing; the provider sends people back there");
  return {
    issuer,
    clientId: clientId ?? "",
    clientSecretFile: text("oidc-client-secret"),
    scope: text("oidc-scope") ?? "",
    nameClaim: text("oidc-name-claim"),
    groupsClaim: text("oidc-groups-claim") ?? "",
  };
}

function readExternal(text: Text, problems: string[]): ExternalSettings | null {
  const [realm, service, issuer, keys] = EXTERNAL.map((name) => text(name));
  const missing = EXTERNAL.filter((name) => text(name) === null);
  if (missing.length === EXTERNAL.length) return null;
  if (missing.length > 0) {
    problems.push(`--auth-token-... settings go together; --${missing.join(", --")} is missing`);
  }
  return { realm: realm ?? "", service: service ?? "", issuer: issuer ?? "", keys: keys ?? "" };
}
