import type { TokenScope } from "@stowage/oci/token-scope";
import { type Grants, NOTHING } from "./grants.ts";

/** Who did something, as it is recorded: `alice`, `robot:ci`, `oidc:bob`, `workload:github:...`; null is anybody. */
export interface Identity {
  readonly name: string | null;
}

/** How somebody said who they are. */
export type CredentialKind =
  | "none"
  /** The socket in the data folder, which only its owner can open. */
  | "socket"
  | "password"
  /** A personal access token, or that of a robot. */
  | "access-token"
  /** A token of the token endpoint, ours or another's. */
  | "registry-token"
  | "session"
  | "certificate"
  /** A JSON Web Token of a trusted issuer. */
  | "workload";

export interface Credential {
  readonly kind: CredentialKind;
  /** Public id of the token or certificate, for the audit trail; null for a password. */
  readonly id: string | null;
}

/** Who is asking, and everything that decides what they may do. Made anew for each request. */
export interface Caller extends Identity {
  readonly credential: Credential;
  /** May do everything. */
  readonly isAdmin: boolean;
  /** What rules may name this caller by, with `anonymous`, which is everybody. */
  readonly principals: readonly string[];
  /** What the access rules and the account itself give. */
  readonly grants: readonly Grants[];
  /** At most this, by the access token that was shown; null: no less than the account. */
  readonly limit: Grants | null;
  /** At most this, by the registry token that was shown; null: none was. */
  readonly scopes: readonly TokenScope[] | null;
  /** The token has ended, a while ago: it is still good for finishing uploads that its holder began. */
  readonly hasEnded: boolean;
  /** Of the password that was shown, if one was (`passwordMark`): what is got for it does not outlive it. */
  readonly passwordMark?: string;
}

const NO_CREDENTIAL: Credential = { kind: "none", id: null };

/** Principal that stands for everybody, signed in or not. */
export const EVERYBODY = "anonymous";
/** Principal that stands for everybody who has signed in. */
export const SIGNED_IN = "authenticated";

/** A caller without rights; the other kinds are made of it. */
export const NOBODY: Caller = {
  name: null,
  credential: NO_CREDENTIAL,
  isAdmin: false,
  principals: [EVERYBODY],
  grants: [NOTHING],
  limit: null,
  scopes: null,
  hasEnded: false,
};

/** The policy `auth: none`: everybody may do everything. Said explicitly when the address is not loopback. */
export const UNRESTRICTED: Caller = { ...NOBODY, isAdmin: true };

/** Who uses the socket in the data folder: its owner, who could read and write the files as well. */
export const OWNER: Caller = {
  ...NOBODY,
  name: "owner",
  credential: { kind: "socket", id: null },
  isAdmin: true,
  principals: [EVERYBODY, SIGNED_IN],
};
