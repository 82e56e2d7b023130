import type { NewAccount } from "@stowage/server/metadata/metadata";
import type { RequestParts, TestApp } from "./test-app.ts";

/** Password of every account that a test makes. */
export const PASSWORD = "correct horse battery";

/** As cheap as a hash can be: tests sign in often. */
const HASH = await Bun.password.hash(PASSWORD, { algorithm: "bcrypt", cost: 4 });

/** Makes an account that signs in with PASSWORD; robots have no password. */
export async function createAccount(
  app: TestApp,
  name: string,
  extra: Partial<NewAccount> = {},
): Promise<void> {
  const isRobot = name.startsWith("robot:");
  const account: NewAccount = {
    name,
    kind: isRobot ? "robot" : "user",
    passwordHash: isRobot ? null : HASH,
    isAdmin: false,
    groups: [],
    grants: [],
    description: "",
    createdBy: null,
    expiresAt: null,
    ...extra,
  };
  if (!(await app.metadata.accounts.create(account, { onlyFirst: false })))
    throw new Error(`${name} is taken`);
}

/** Sets the access rules: `[who, repositories, may]` each. */
export async function setRules(
  app: TestApp,
  rules: readonly (readonly [who: string, repositories: string, may: string])[],
): Promise<void> {
  if (app.auth === null) throw new Error("the app has no authentication");
  const document = {
    rules: rules.map(([who, repositories, may]) => ({
      who: who.split(" "),
      repositories: repositories.split(" "),
      may: may.split(" "),
    })),
  };
  await app.auth.rules.set({ name: null }, document);
}

export function basic(name: string, password: string = PASSWORD): RequestParts {
  return { headers: { Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` } };
}

export function bearer(token: string): RequestParts {
  return { headers: { Authorization: `Bearer ${token}` } };
}

/** What the token endpoint answers. */
export interface TokenAnswer {
  readonly token: string;
  readonly access_token: string;
  readonly expires_in: number;
  readonly issued_at: string;
  readonly scope: string;
  readonly refresh_token?: string;
}

/** A registry token for the scopes. */
export async function tokenFor(
  app: TestApp,
  parts: RequestParts,
  ...scopes: readonly string[]
): Promise<string> {
  const query = scopes.map((scope) => `&scope=${encodeURIComponent(scope)}`).join("");
  const response = await app.request("GET", `/token?service=stowage${query}`, parts);
  if (response.status !== 200) throw new Error(`no token: ${response.status} ${await response.text()}`);
  return ((await response.json()) as TokenAnswer).token;
}
