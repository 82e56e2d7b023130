/** Claims that say whose a token is, for an issuer whom everybody may use. */
const OWNER_CLAIMS: ReadonlyMap<string, readonly string[]> = new Map([
  [
    "https://token.actions.githubusercontent.com",
    [
      "repository",
      "repository_id",
      "repository_owner",
      "repository_owner_id",
      "enterprise",
      "enterprise_id",
      "sub",
    ],
  ],
  ["https://gitlab.com", ["project_path", "project_id", "namespace_path", "namespace_id", "sub"]],
  ["https://agent.buildkite.com", ["organization_slug", "organization_id", "pipeline_id", "sub"]],
  [
    "https://app.terraform.io",
    ["terraform_organization_id", "terraform_organization_name", "terraform_workspace_id", "sub"],
  ],
  ["https://accounts.google.com", ["sub", "email", "hd"]],
]);

interface RuleClaims {
  readonly claims: Readonly<Record<string, string | number | boolean>>;
}

export interface OwnerlessRule {
  /** Its place, from 0. */
  readonly at: number;
  readonly message: string;
}

/**
 * Rules that would let in strangers. `ref: refs/heads/main` is true of every repository on GitHub; one claim at least
 * must say whose it is, down to the first slash, behind which stars may begin.
 */
export function findOwnerlessRules(issuer: string, rules: readonly RuleClaims[]): readonly OwnerlessRule[] {
  const owners = OWNER_CLAIMS.get(issuer);
  if (owners === undefined) return [];
  const message = `everybody can have tokens of this issuer; wanted one of ${owners.join(", ")}, without a star before its first slash`;
  return rules.flatMap(({ claims }, at) => {
    // Without any claim it is wrong for every issuer, and has been told.
    if (Object.keys(claims).length === 0) return [];
    const isOwned = owners.some((name) => Object.hasOwn(claims, name) && isPinned(String(claims[name])));
    return isOwned ? [] : [{ at, message }];
  });
}

function isPinned(pattern: string): boolean {
  const star = pattern.indexOf("*");
  return star === -1 || pattern.slice(0, star).includes("/");
}
