import { RegistryError } from "@stowage/oci/errors";
import type { AccessToken, TokenKind, TokenMetadata } from "../metadata/metadata.ts";
import type { Accounts } from "./accounts.ts";
import type { Caller, Credential } from "./caller.ts";
import { grantsOfScopes } from "./granted-scopes.ts";
import { type Passwords, passwordMark } from "./passwords.ts";
import { ACCESS_TOKEN_PREFIX, findAccessToken } from "./secrets.ts";
import type { IssuedToken, TokenIssuer } from "./token-issuer.ts";
import type { TokenUses } from "./token-uses.ts";

/** Longest Authorization header that is looked at, in characters. */
const AUTHORIZATION_LENGTH_MAX = 24 * 1024;

/** Longest account name, in characters. */
const NAME_LENGTH_MAX = 255;

/** A client's certificate, as far as it names somebody. */
export interface Certificate {
  readonly commonName: string | null;
  /** Subject alternative names: `dns:...`, `uri:...`, `email:...`. */
  readonly names: readonly string[];
  /** SHA-256 of it, lower-case hex. */
  readonly fingerprint: string;
}

/** What of a request is asked while it waits: whether its client is still there. */
export type Abortable = Pick<Request, "signal">;

/** What came with a request that may say who sent it. */
export interface Presented {
  readonly authorization: string | null;
  /** Secret of a browser's session; null where sessions do not count. */
  readonly session: string | null;
  readonly certificate: Certificate | null;
  /** It came through the socket of the data folder. */
  readonly isLocal: boolean;
  readonly address: string | null;
  /** The request it came with. */
  readonly request: Abortable;
}

/** Somebody who says a name and a password. */
export interface SignIn {
  readonly name: string;
  readonly password: string;
  readonly address: string | null;
  readonly request: Abortable;
}

/** A password that may be checked now. Disposed without an outcome it counts for nothing. */
export interface Attempt extends Disposable {
  succeeded(): void;
  failed(): void;
}

/** Holds back those who guess. */
export interface SignInGate {
  /** Waits until the password may be checked. @throws RegistryError TOOMANYREQUESTS */
  begin(
    login: { readonly address: string | null; readonly account: string },
    request: Abortable,
  ): Promise<Attempt>;
}

/** A token that another issuer signed. */
export interface ForeignTokens {
  /** The caller, or null: it is not one of theirs. */
  caller(text: string): Promise<Caller | null>;
}

export interface AuthenticatorOptions {
  readonly accounts: Accounts;
  readonly tokens: TokenMetadata;
  readonly uses: TokenUses;
  readonly passwords: Passwords;
  readonly issuer: TokenIssuer;
  /** An external token server whose registry tokens count instead of ours; null: none. */
  readonly external: ForeignTokens | null;
  /** Issuers whose JSON Web Tokens stand for a password; null: none. */
  readonly workloads: ForeignTokens | null;
  readonly gate: SignInGate;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Finds out who sends a request. Every way in ends in a `Caller`, and `authorize` knows no other. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** @throws RegistryError UNAUTHORIZED when something was presented that is not right, TOOMANYREQUESTS */
  async authenticate(presented: Presented): Promise<Caller> {
    const { authorization, session, certificate } = presented;
    if (authorization !== null) return await this.#byHeader(authorization, presented);
    if (session !== null) return requireCaller(await this.#bySecret(session, "session"));
    if (certificate !== null) return await this.#byCertificate(certificate);
    return await this.#options.accounts.anonymous();
  }

  /**
   * By a password, or what may stand in its place: an access token, whose account counts whatever the name says, or a
   * workload's JSON Web Token.
   * @throws RegistryError UNAUTHORIZED, TOOMANYREQUESTS
   */
  async signIn(signIn: SignIn): Promise<Caller> {
    const { name, password } = signIn;
    const { workloads } = this.#options;
    if (password.startsWith(ACCESS_TOKEN_PREFIX))
      return requireCaller(await this.#bySecret(password, "personal"));
    if (workloads !== null && looksLikeJwt(password)) return requireCaller(await workloads.caller(password));
    if (name.length > NAME_LENGTH_MAX) throw wrongCredentials();
    return await this.#byPassword(signIn);
  }

  /** By a refresh token, or by an access token in its place. @throws RegistryError UNAUTHORIZED */
  async refresh(secret: string): Promise<Caller> {
    return requireCaller(await this.#bySecret(secret, "refresh", "personal"));
  }

  /** By a workload's JSON Web Token (RFC 8693). @throws RegistryError UNAUTHORIZED */
  async exchange(token: string): Promise<Caller> {
    return requireCaller((await this.#options.workloads?.caller(token)) ?? null);
  }

  async #byHeader(
    authorization: string,
    { address, request }: Pick<Presented, "address" | "request">,
  ): Promise<Caller> {
    if (authorization.length > AUTHORIZATION_LENGTH_MAX) throw wrongCredentials();
    const [, scheme = "", value = ""] = /^([A-Za-z]+) +(\S+)$/.exec(authorization) ?? [];
    switch (scheme.toLowerCase()) {
      case "basic": {
        const pair = decodeBasic(value);
        if (pair === null) throw wrongCredentials();
        return await this.signIn({ ...pair, address, request });
      }
      case "bearer":
        if (value.startsWith(ACCESS_TOKEN_PREFIX))
          return requireCaller(await this.#bySecret(value, "personal"));
        return requireCaller(await this.#byRegistryToken(value));
      default:
        throw wrongCredentials();
    }
  }

  async #byPassword(signIn: SignIn): Promise<Caller> {
    const { accounts, gate, passwords } = this.#options;
    const { name, password } = signIn;
    const hash = await accounts.passwordHash(name);
    if (hash === null || !passwords.remembers(name, password, hash)) {
      using attempt = await gate.begin({ address: signIn.address, account: name }, signIn.request);
      if (!(await passwords.verify(name, password, { hash, decoys: accounts.decoys() }))) {
        attempt.failed();
        throw wrongCredentials();
      }
      attempt.succeeded();
    }
    const caller = requireCaller(await accounts.caller(name, { kind: "password", id: null }));
    return hash === null ? caller : { ...caller, passwordMark: passwordMark(hash) };
  }

  /** By the secret of an access token, of the kinds that count here. */
  async #bySecret(text: string, ...kinds: readonly TokenKind[]): Promise<Caller | null> {
    const { accounts, tokens, uses, now } = this.#options;
    const token = await findAccessToken(text, tokens, now());
    if (token === null || !kinds.includes(token.kind)) return null;
    uses.note(token);
    const kind = token.kind === "session" ? "session" : "access-token";
    const credential = { kind, id: token.id } as const;
    return await accounts.caller(token.account, credential, { limit: token.limit });
  }

  async #byRegistryToken(text: string): Promise<Caller | null> {
    const { external, issuer } = this.#options;
    if (external !== null) return await external.caller(text);
    const token = await issuer.verify(text);
    return token === null ? null : await this.#callerOf(token);
  }

  /** The account is looked at anew, so what it lost since the token was issued is lost at once. */
  async #callerOf(token: IssuedToken): Promise<Caller | null> {
    const { accounts, issuer } = this.#options;
    const { subject, principals, source, password } = token;
    const credential: Credential = { kind: "registry-token", id: token.id };
    const origin = source === null ? null : await this.#aliveToken(source);
    if (source !== null && origin === null) return null;
    // Scopes name repositories; what is listed by the scope of the catalog is limited by the access token alone.
    const limit = origin?.limit ?? null;
    const restrictions = { scopes: token.access, hasEnded: issuer.hasEnded(token), limit };
    if (subject === "") {
      return { ...(await accounts.anonymous(credential, token.access)), hasEnded: restrictions.hasEnded };
    }
    if (subject.startsWith("workload:")) {
      // Nobody keeps an account for it: what the token says was its right when it was issued.
      const grants = grantsOfScopes(token.access);
      return await accounts.guest({ name: subject, credential, principals, grants }, restrictions);
    }
    if (subject.startsWith("certificate:")) {
      return await accounts.guest({ name: subject, credential, principals, grants: [] }, restrictions);
    }
    if (password !== null && !(await this.#hasPassword(subject, password))) return null;
    return await accounts.caller(subject, credential, { ...restrictions, issuedAt: token.issuedAt });
  }

  async #hasPassword(name: string, mark: string): Promise<boolean> {
    const hash = await this.#options.accounts.passwordHash(name);
    return hash !== null && passwordMark(hash) === mark;
  }

  async #aliveToken(id: string): Promise<AccessToken | null> {
    const { tokens, now } = this.#options;
    const token = await tokens.find(id);
    return token === null || (token.expiresAt !== null && token.expiresAt <= now()) ? null : token;
  }

  async #byCertificate({ commonName, names, fingerprint }: Certificate): Promise<Caller> {
    // A common name is free text: one that looks like an alternative name must not pass for it.
    const plain = commonName === null || commonName.includes(":") ? [] : [commonName];
    const all = [...plain, ...names].map((name) => `certificate:${name}`);
    const [name, ...principals] = all;
    if (name === undefined) throw wrongCredentials();
    const credential = { kind: "certificate", id: fingerprint } as const;
    return await this.#options.accounts.guest({ name, credential, principals, grants: [] });
  }
}

/** RFC 7617 section 2. */
function decodeBasic(value: string): { readonly name: string; readonly password: string } | null {
  const text = Buffer.from(value, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon === -1 ? null : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

function looksLikeJwt(text: string): boolean {
  return text.startsWith("eyJ") && text.split(".").length === 3;
}

function requireCaller(caller: Caller | null): Caller {
  if (caller === null) throw wrongCredentials();
  return caller;
}

/** One answer for every reason: which of them it was is nobody's business. */
function wrongCredentials(): RegistryError {
  return new RegistryError("UNAUTHORIZED", {
    message: "the credentials are not valid, or are not any more: sign in again",
  });
}
