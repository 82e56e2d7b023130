/** One call of the management API, named by the operation of its OpenAPI document. */
export interface ManagementExample {
  readonly operation: string;
  /** Values of the path's parameters; `name` is `$NAME` unless it is said. */
  readonly path?: Readonly<Record<string, string>>;
  /** Without the question mark. */
  readonly query?: string;
  /** JSON, with variables such as `$NAME` in its texts. */
  readonly body?: unknown;
  /** Keeps the `id` of the answer as `$ID`. */
  readonly keepsId?: true;
  /** Calls that it needs before it, of other operations or of its own. */
  readonly after?: readonly Omit<ManagementExample, "after">[];
}

const REPOSITORIES = ["team/**"];

/**
 * Every operation once, in an order in which they work behind the examples of the registry's own API, by an account that
 * administers.
 */
export const MANAGEMENT_EXAMPLES: readonly ManagementExample[] = [
  { operation: "whoAmI" },
  { operation: "createRepository", body: { name: "team/empty" } },
  { operation: "listRepositories", query: "sort=name&prefix=demo/" },
  { operation: "getRepository" },
  { operation: "listNamespaces", query: "parent=demo" },
  { operation: "listTags", query: "sort=semver&filter=v*" },
  { operation: "getTag", path: { tag: "$TAG" } },
  { operation: "setTag", path: { tag: "stable" }, body: { digest: "$MANIFEST" } },
  { operation: "deleteTag", path: { tag: "stable" } },
  { operation: "getManifest", path: { digest: "$MANIFEST" } },
  { operation: "getBlob", path: { digest: "$LAYER" } },
  { operation: "deleteManifest", path: { digest: "$ARTIFACT" }, query: "dryRun=false" },
  { operation: "deleteRepository", path: { name: "team/empty" } },
  { operation: "deleteNamespace", path: { namespace: "demo/copy" }, query: "dryRun=true" },
  { operation: "listDeletions", query: "n=2" },
  { operation: "getDeletion", path: { id: "3" } },
  { operation: "undoDeletion", path: { id: "3" } },
  { operation: "purgeDeletion", path: { id: "2" } },
  { operation: "previewGarbage" },
  { operation: "collectGarbage", body: { dryRun: false } },
  { operation: "hold", body: { id: "0123456789abcdef0123456789abcdef", seconds: 600 } },
  { operation: "releaseHold", path: { id: "0123456789abcdef0123456789abcdef" } },
  { operation: "getPolicies" },
  { operation: "setPolicies", body: { immutableTags: [{ repositories: REPOSITORIES, patterns: ["v*"] }] } },
  { operation: "applyPolicies", body: { dryRun: true } },
  { operation: "setQuota", path: { namespace: "team" }, body: { bytes: 1_000_000_000, tags: 500 } },
  { operation: "getQuota", path: { namespace: "team" } },
  { operation: "listQuotas" },
  { operation: "deleteQuota", path: { namespace: "team" } },
  // Before it is begun: afterwards it is a question of time how far it is.
  { operation: "getScrub" },
  { operation: "startScrub", body: { all: true } },
  { operation: "listScrubFindings" },
  { operation: "createUser", body: { name: "bob", description: "Bob of the team" } },
  { operation: "listUsers" },
  { operation: "getUser", path: { user: "bob" } },
  { operation: "updateUser", path: { user: "bob" }, body: { isDisabled: true } },
  { operation: "setPassword", path: { user: "bob" }, body: { password: "battery horse correct" } },
  { operation: "deleteUser", path: { user: "bob" } },
  {
    operation: "createRobot",
    body: { name: "ci", grants: [{ repositories: REPOSITORIES, may: ["writer"] }] },
  },
  { operation: "listRobots" },
  { operation: "getRobot", path: { robot: "ci" } },
  { operation: "updateRobot", path: { robot: "ci" }, body: { description: "builds" } },
  { operation: "createRobotToken", path: { robot: "ci" }, body: { label: "builds" }, keepsId: true },
  { operation: "listRobotTokens", path: { robot: "ci" } },
  { operation: "revokeRobotToken", path: { robot: "ci", id: "$ID" } },
  { operation: "rotateRobotToken", path: { robot: "ci" }, body: { label: "builds", overlap: 3600 } },
  { operation: "deleteRobot", path: { robot: "ci" } },
  { operation: "createOwnToken", body: { label: "laptop", expiresIn: 86_400 }, keepsId: true },
  { operation: "listOwnTokens" },
  { operation: "listUserTokens", path: { user: "$USERNAME" } },
  { operation: "revokeOwnToken", path: { id: "$ID" } },
  {
    operation: "revokeUserToken",
    path: { user: "$USERNAME", id: "$ID" },
    after: [{ operation: "createOwnToken", body: { label: "phone" }, keepsId: true }],
  },
  { operation: "getAccess" },
  {
    operation: "setAccess",
    body: { rules: [{ who: ["user:$USERNAME"], repositories: ["**"], may: ["maintainer"] }] },
  },
  { operation: "checkAccess", query: "who=user:$USERNAME&action=push&repository=team/app" },
  { operation: "getWorkloads" },
  { operation: "setWorkloads", body: [] },
  { operation: "listKeys" },
  { operation: "rotateKeys", body: { revokeAll: false } },
  { operation: "listAudit", query: "action=repository.create&n=1" },
  {
    operation: "changePassword",
    body: { current: "$PASSWORD", new: "$PASSWORD" },
  },
];
