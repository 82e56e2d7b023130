import { compileRepositoryGlob } from "@stowage/oci/repository-glob";
import type { RepositoryName } from "@stowage/oci/repository-name";

/** What may be done with a repository. `admin` is everything, also what is set for it. */
export const RIGHTS = ["pull", "push", "delete", "admin"] as const;
export type Right = (typeof RIGHTS)[number];

/** Names for what people usually get. */
export const ROLES = {
  reader: ["pull"],
  writer: ["pull", "push"],
  maintainer: ["pull", "push", "delete"],
} as const satisfies Record<string, readonly Right[]>;

/** What a grant may say: rights and roles. */
export const GRANTED = [...RIGHTS, ...(Object.keys(ROLES) as (keyof typeof ROLES)[])] as const;

/** Repositories by glob, and what may be done with them, as it is written down. */
export interface Grant {
  readonly repositories: readonly string[];
  readonly may: readonly string[];
}

/** Rights on repositories. */
export interface Grants {
  allows(right: Right, repository: RepositoryName): boolean;
  /** On every repository, those of the future included. */
  allowsEverywhere(right: Right): boolean;
  /** On some repository, which need not exist. */
  allowsAnywhere(right: Right): boolean;
}

interface CompiledGrant {
  readonly rights: ReadonlySet<Right>;
  readonly isForAll: boolean;
  readonly matches: (repository: string) => boolean;
}

/** The glob that every name matches. */
const EVERY_REPOSITORY = "**";

/**
 * Makes what is written down quick to ask. What cannot be read gives no right: it was checked when it was set, and a
 * release that knows more may have set it.
 */
export function compileGrants(grants: readonly Grant[]): Grants {
  const compiled = grants.flatMap(({ repositories, may }) => {
    const rights = rightsOf(may);
    return repositories.flatMap((glob): CompiledGrant[] => {
      const matches = compileRepositoryGlob(glob);
      return matches === null ? [] : [{ rights, isForAll: glob === EVERY_REPOSITORY, matches }];
    });
  });
  return {
    allows: (right, repository) =>
      compiled.some(({ rights, matches }) => rights.has(right) && matches(repository)),
    allowsEverywhere: (right) => compiled.some(({ rights, isForAll }) => isForAll && rights.has(right)),
    allowsAnywhere: (right) => compiled.some(({ rights }) => rights.has(right)),
  };
}

/** No rights at all. */
export const NOTHING: Grants = compileGrants([]);

/** Who may push or delete must see what is there: clients ask before they do either. */
function rightsOf(may: readonly string[]): ReadonlySet<Right> {
  const said = new Set<string>(may.flatMap((word) => (isRole(word) ? ROLES[word] : [word])));
  const isImplied = (right: Right) =>
    said.has("admin") || (right === "pull" && (said.has("push") || said.has("delete")));
  return new Set(RIGHTS.filter((right) => said.has(right) || isImplied(right)));
}

function isRole(word: string): word is keyof typeof ROLES {
  return Object.hasOwn(ROLES, word);
}
