/** Longest pattern, path and value of a claim, in characters. */
export const PATTERN_LENGTH_MAX = 512;
const PATH_LENGTH_MAX = 255;
const VALUE_LENGTH_MAX = 1_024;

/** Elements of a list that are looked at. */
const ELEMENTS_MAX = 1_000;

export type Claims = Readonly<Record<string, unknown>>;

/** The names on the way to a claim, from outside in. */
export type ClaimPath = readonly string[];

export const CLAIM_PATH_WANTED =
  "a claim's name, with dots between the names of nested ones, and a backslash before a dot that belongs to a name";

/**
 * `kubernetes\.io.namespace` is the claim `namespace` in the claim `kubernetes.io`; null when the text is no path. A
 * backslash takes away the meaning of what follows it.
 */
export function parseClaimPath(text: string): ClaimPath | null {
  if (text.length > PATH_LENGTH_MAX) return null;
  const names = [""];
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === ".") names.push("");
    else if (character !== "\\") names.push(`${names.pop()}${character}`);
    else if (++at < text.length) names.push(`${names.pop()}${text.charAt(at)}`);
    else return null;
  }
  return names.includes("") ? null : names;
}

/** The claim at that place, or undefined. Never what JavaScript's objects have of their own. */
export function claimAt(claims: Claims, path: ClaimPath): unknown {
  let found: unknown = claims;
  for (const name of path) {
    if (typeof found !== "object" || found === null || Array.isArray(found)) return undefined;
    found = Object.getOwnPropertyDescriptor(found, name)?.value;
  }
  return found;
}

/**
 * A claim as text: numbers and true and false as JSON writes them; null for what is neither text nor these, and for
 * integers that are rounded when they are read, because several become one.
 */
export function claimText(value: unknown): string | null {
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return null;
  const text = typeof value === "number" || typeof value === "boolean" ? JSON.stringify(value) : value;
  return typeof text === "string" && text.length <= VALUE_LENGTH_MAX ? text : null;
}

/** Judges a claim's value; of a list, one element is enough. */
export type ClaimTest = (value: unknown) => boolean;

/**
 * Makes a test of a pattern: `*` stands for any characters but `/` and `:`, which separate the parts of what issuers
 * write, and `**` for any at all. What has no star must be equal.
 */
export function compileClaimPattern(pattern: string): ClaimTest {
  const hasStar = pattern.includes("*");
  const pieces = pattern.match(/\*+|[^*]/gu) ?? [];
  const matches = (value: unknown): boolean => {
    const text = claimText(value);
    return text !== null && (hasStar ? isMatch(pieces, text) : text === pattern);
  };
  return (value) => (Array.isArray(value) ? value.slice(0, ELEMENTS_MAX).some(matches) : matches(value));
}

/**
 * Walks the text once, with every place of the pattern that may be next. That takes as many steps as pattern times text
 * have characters, whatever they are.
 */
function isMatch(pieces: readonly string[], text: string): boolean {
  let places = withSkipped(new Set([0]), pieces);
  for (const character of text) {
    const next = new Set<number>();
    for (const place of places) {
      const piece = pieces[place];
      if (piece === undefined) continue;
      if (piece.startsWith("*")) {
        if (piece.length > 1 || (character !== "/" && character !== ":")) next.add(place);
      } else if (piece === character) next.add(place + 1);
    }
    if (next.size === 0) return false;
    places = withSkipped(next, pieces);
  }
  return places.has(pieces.length);
}

/** A star may stand for nothing. A Set is walked with what is added on the way. */
function withSkipped(places: Set<number>, pieces: readonly string[]): Set<number> {
  for (const place of places) {
    if (pieces[place]?.startsWith("*") === true) places.add(place + 1);
  }
  return places;
}
