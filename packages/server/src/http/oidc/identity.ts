import { claimAt, type Claims, type ClaimPath } from "../../auth/claims.ts";

/** Longest name of a person or group, in characters. */
const NAME_LENGTH_MAX = 200;

/** Groups of one person that are looked at. */
const GROUPS_MAX = 1_000;

/** Somebody whom the provider vouches for. */
export interface OidcIdentity {
  /** Which rules may name; without spaces and control characters. */
  readonly name: string;
  readonly groups: readonly string[];
  readonly issuer: string;
  /** The one name that never changes and is never given to another (OpenID Connect Core 1.0 section 8). */
  readonly subject: string;
}

export interface IdentityRules {
  /** Where the name is; null: `preferred_username`, else `email` if it is verified, else `sub`. */
  readonly nameClaim: ClaimPath | null;
  /** Where the groups are; null: nowhere. */
  readonly groupsClaim: ClaimPath | null;
}

/** Who it is, or null when the claims have no usable name. */
export function identityOf(claims: Claims, { nameClaim, groupsClaim }: IdentityRules): OidcIdentity | null {
  const { iss, sub } = claims;
  const name = nameClaim === null ? usualName(claims) : nameAt(claims, nameClaim);
  if (typeof iss !== "string" || typeof sub !== "string" || sub === "" || name === null) return null;
  return {
    name,
    groups: groupsClaim === null ? [] : groupsAt(claims, groupsClaim),
    issuer: iss,
    subject: sub,
  };
}

function usualName(claims: Claims): string | null {
  if (claims.preferred_username !== undefined) return readName(claims.preferred_username);
  return claims.email_verified === true ? readName(claims.email) : readName(claims.sub);
}

/** An address that nobody has verified is whatever somebody typed. */
function nameAt(claims: Claims, path: ClaimPath): string | null {
  const isEmail = path.length === 1 && path[0] === "email";
  return isEmail && claims.email_verified !== true ? null : readName(claimAt(claims, path));
}

/** What is no name is left out: somebody who loses a group by that has fewer rights, never more. */
function groupsAt(claims: Claims, path: ClaimPath): readonly string[] {
  const found = claimAt(claims, path);
  const list: readonly unknown[] = Array.isArray(found) ? found.slice(0, GROUPS_MAX) : [found];
  return [...new Set(list.flatMap((group) => readName(group) ?? []))];
}

function readName(value: unknown): string | null {
  if (typeof value !== "string" || value.length > NAME_LENGTH_MAX) return null;
  return /^[^\s\p{C}]+$/u.test(value) ? value : null;
}
