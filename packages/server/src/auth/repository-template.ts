import { compileRepositoryGlob } from "@stowage/oci/repository-glob";
import { parseRepositoryName } from "@stowage/oci/repository-name";
import { claimAt, claimText, type ClaimPath, type Claims, parseClaimPath } from "./claims.ts";

/** Longest template, in characters. */
const TEMPLATE_LENGTH_MAX = 512;

export const REPOSITORY_TEMPLATE_WANTED = `a glob of repositories of at most ${TEMPLATE_LENGTH_MAX} characters, in which \${claim} stands for the value of a claim`;

/** A glob of repositories that depends on the token. */
export interface RepositoryTemplate {
  /** The glob for a token with these claims, or null: there is none that would be sound. */
  fill(claims: Claims): string | null;
}

interface Slot {
  readonly path: ClaimPath;
  /** It has a whole place between two slashes for itself, so its value may have slashes. */
  readonly isWhole: boolean;
}

type Piece = string | Slot;

/**
 * Reads `acme/${project_path}`, or null. A claim's value counts only when it is a repository name by itself, so it can
 * neither bring a wildcard with it nor lead out of its place; and a slash only where the template has slashes around it.
 */
export function parseRepositoryTemplate(text: string): RepositoryTemplate | null {
  if (text.length > TEMPLATE_LENGTH_MAX) return null;
  const pieces: Piece[] = [];
  const parts = text.split(/\$\{([^{}]*)\}/);
  for (const [at, part] of parts.entries()) {
    if (at % 2 === 0) {
      pieces.push(part);
      continue;
    }
    const path = parseClaimPath(part);
    if (path === null) return null;
    const [before = "", after = ""] = [parts[at - 1], parts[at + 1]];
    const isFirst = at === 1 && before === "";
    const isLast = at === parts.length - 2 && after === "";
    const isWhole = (isFirst || before.endsWith("/")) && (isLast || after.startsWith("/"));
    pieces.push({ path, isWhole });
  }
  const template: RepositoryTemplate = { fill: (claims) => fill(pieces, (slot) => slotValue(slot, claims)) };
  // Any value will do to see whether the rest is a glob.
  return fill(pieces, () => "x") === null ? null : template;
}

function fill(pieces: readonly Piece[], value: (slot: Slot) => string | null): string | null {
  const filled: string[] = [];
  for (const piece of pieces) {
    const text = typeof piece === "string" ? piece : value(piece);
    if (text === null) return null;
    filled.push(text);
  }
  const glob = filled.join("");
  if (compileRepositoryGlob(glob) === null) return null;
  return /[*?]/.test(glob) || parseRepositoryName(glob) !== null ? glob : null;
}

function slotValue({ path, isWhole }: Slot, claims: Claims): string | null {
  const text = claimText(claimAt(claims, path));
  if (text === null || parseRepositoryName(text) === null) return null;
  return isWhole || !text.includes("/") ? text : null;
}
