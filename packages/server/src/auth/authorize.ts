import type { RepositoryName } from "@stowage/oci/repository-name";

/** Who is asking. `name` is null for the anonymous caller. */
export interface Caller {
  readonly name: string | null;
}

export const ANONYMOUS: Caller = { name: null };

/**
 * What a route does, as the token protocol names it; `base` and `catalog` concern no repository, `admin` (the
 * management API) one, or the registry as a whole.
 */
export type Action = "base" | "catalog" | "pull" | "push" | "delete" | "admin";

export interface Access {
  readonly caller: Caller;
  readonly action: Action;
  /** Null for the actions that concern no repository. */
  readonly repository: RepositoryName | null;
}

/** Decides whether a caller may do something. The one question every route, and every mount, asks. */
export type Authorize = (access: Access) => boolean;

/** The policy `auth: none`: everybody may do everything. Said explicitly when the address is not loopback. */
export const allowEverybody: Authorize = () => true;
