import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Accounts } from "./accounts.ts";
import type { AccessRule, AccessRules } from "./access-rules.ts";
import { authorize, rightsHold } from "./authorize.ts";
import { type Caller, EVERYBODY, NOBODY, SIGNED_IN } from "./caller.ts";
import type { Right } from "./grants.ts";

export interface AccessQuestion {
  /** As rules name callers. */
  readonly who: string;
  readonly action: Right;
  /** Null: the registry as a whole. */
  readonly repository: RepositoryName | null;
}

/** What gives a right. */
export type Reason =
  | { readonly kind: "administrator" }
  | { readonly kind: "rule"; readonly rule: AccessRule }
  /** A grant of the account itself, as robots have them. */
  | { readonly kind: "own-grant" };

export interface Explanation {
  readonly allowed: boolean;
  /** Everything that gives the right; empty when nothing does. */
  readonly reasons: readonly Reason[];
  /** What rules may name them by. */
  readonly principals: readonly string[];
  /** Whether there is somebody who could sign in by that name now. */
  readonly isKnown: boolean;
}

/** Why somebody may do something, or may not: it asks what a request of theirs would be asked. */
export async function explainAccess(
  { who, action, repository }: AccessQuestion,
  { accounts, rules }: { readonly accounts: Accounts; readonly rules: AccessRules },
): Promise<Explanation> {
  const caller = await callerNamed(who, accounts);
  if (caller === null) return { allowed: false, reasons: [], principals: [], isKnown: false };
  const reasons: Reason[] = caller.isAdmin ? [{ kind: "administrator" }] : [];
  for (const grants of caller.grants) {
    if (!rightsHold(grants, action, repository)) continue;
    const rule = await rules.ruleOf(grants);
    reasons.push(rule === null ? { kind: "own-grant" } : { kind: "rule", rule });
  }
  const allowed = authorize({ caller, action, repository });
  return { allowed, reasons, principals: caller.principals, isKnown: true };
}

/** The caller that somebody would be after signing in, or null. Of a group: what each member may at least. */
async function callerNamed(who: string, accounts: Accounts): Promise<Caller | null> {
  if (who === EVERYBODY) return await accounts.anonymous();
  const { credential } = NOBODY;
  const guest = { name: who, credential, principals: [], grants: [] };
  if (who === SIGNED_IN) return await accounts.guest(guest);
  const [kind, name] = [who.slice(0, who.indexOf(":")), who.slice(who.indexOf(":") + 1)];
  switch (kind) {
    case "user":
      // `user:robot:ci` would be the robot.
      return name.includes(":") ? null : await accounts.caller(name, credential);
    case "robot":
    case "oidc":
      return await accounts.caller(who, credential);
    default:
      return await accounts.guest(guest);
  }
}
