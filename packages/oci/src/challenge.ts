import { formatTokenScope, type TokenScope } from "./token-scope.ts";

/** Why a token was not enough (RFC 6750 section 3.1). */
export type ChallengeError = "invalid_token" | "insufficient_scope";

export interface BearerChallenge {
  /** Address of the token endpoint. */
  readonly realm: string;
  readonly service: string;
  /** What a token must be good for; empty for `/v2/`. */
  readonly scopes: readonly TokenScope[];
  readonly error: { readonly code: ChallengeError; readonly description: string } | null;
}

/**
 * `WWW-Authenticate` of the token protocol (Docker Registry v2 Bearer token specification; RFC 9110 section 11.6.1). With
 * an error docker shows its description, and not the body (RFC 6750 section 3, which allows no quotes in it).
 */
export function formatBearerChallenge({ realm, service, scopes, error }: BearerChallenge): string {
  const parameters = [`realm=${quoted(realm)}`, `service=${quoted(service)}`];
  if (scopes.length > 0) parameters.push(`scope=${quoted(scopes.map(formatTokenScope).join(" "))}`);
  if (error !== null) {
    const description = error.description.replace(/["\\]/g, "'");
    parameters.push(`error=${quoted(error.code)}`, `error_description=${quoted(description)}`);
  }
  return `Bearer ${parameters.join(",")}`;
}

/** RFC 9110 section 5.6.4; what has no place in a header is left out. */
function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, "").replace(/["\\]/g, "\\$&")}"`;
}

/** One challenge of a `WWW-Authenticate` header: scheme and parameter names in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Longest header that is read, in characters. */
const CHALLENGES_LENGTH_MAX = 16_384;

/** A scheme at the beginning or behind a comma, or one parameter: token or quoted text (RFC 9110 sections 11.2 and 5.6). */
const PART = /[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))|(?=[\s,]|$))/y;

/**
 * Every challenge of the header, in its order (RFC 9110 section 11.6.1); what cannot be read ends the list. Values of
 * several header lines may be joined by commas, as fetch does.
 */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  if (header.length > CHALLENGES_LENGTH_MAX) return challenges;
  PART.lastIndex = 0;
  for (let part = PART.exec(header); part !== null; part = PART.exec(header)) {
    const [, name = "", inQuotes, bare] = part;
    const value = inQuotes?.replace(/\\(.)/g, "$1") ?? bare;
    if (value === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: new Map() });
    else challenges.at(-1)?.parameters.set(name.toLowerCase(), value);
  }
  return challenges;
}
