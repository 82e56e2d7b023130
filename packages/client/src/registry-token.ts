import type { TokenScope } from "@stowage/oci/token-scope";
import type { Connection } from "./connection.ts";
import type { IoOptions } from "./content.ts";

/** A token for `scopes`, as it stands behind `Bearer`; null: the registry wants none. @throws ClientError */
export async function requestRegistryToken(
  connection: Connection,
  scopes: readonly TokenScope[],
  { signal }: IoOptions = {},
): Promise<string | null> {
  const operation = `ask ${connection.registry}`;
  // What it wants is learned from its 401.
  await connection.send({ method: "GET", target: "/v2/", scopes: [], operation, expected: [401], signal });
  const value = await connection.authorization(scopes, signal);
  return value?.startsWith("Bearer ") === true ? value.slice("Bearer ".length) : null;
}
