import type { AccountMetadata } from "../metadata/metadata.ts";
import type { Passwords } from "./passwords.ts";
import { randomText } from "./secrets.ts";

/** Name of the account that a new registry has. */
export const FIRST_ADMIN = "admin";

/** Random bytes of its password. */
const PASSWORD_BYTES = 18;

/** Makes the first administrator of a registry that has no account; its password, which is told once, or null. */
export async function createFirstAdmin(
  accounts: AccountMetadata,
  passwords: Passwords,
): Promise<string | null> {
  const kinds = ["user", "person", "robot"] as const;
  if ((await accounts.list({ kinds, after: "", entriesMax: 1 })).length > 0) return null;
  const password = randomText(PASSWORD_BYTES);
  const account = {
    name: FIRST_ADMIN,
    kind: "user",
    passwordHash: await passwords.hash(password),
    isAdmin: true,
    groups: [],
    grants: [],
    description: "made at the first start",
    createdBy: null,
    expiresAt: null,
  } as const;
  return (await accounts.create(account, { onlyFirst: true })) ? password : null;
}
