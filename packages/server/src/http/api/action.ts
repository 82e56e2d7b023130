import type { Action } from "../../auth/authorize.ts";
import { API_ROOT, type ApiTarget, isMutating } from "./target.ts";

/** What `authorize` is asked about, by path and method; the first row that fits. What no row names is administration. */
const ACTIONS: readonly (readonly [method: "read" | "DELETE" | "any", path: RegExp, action: Action])[] = [
  ["read", /^\/openapi\.json$/, "base"],
  ["read", /^\/whoami$/, "base"],
  ["any", /^\/self(?:\/|$)/, "self"],
  ["read", /^\/repositories$/, "catalog"],
  ["read", /^\/repositories\//, "pull"],
  ["DELETE", /^\/repositories\/[^/]+\/-\/(?:tags|manifests)\//, "delete"],
  ["any", /^\/repositories\/[^/]+\/-\/tags\//, "push"],
];

/** What a request of the management API needs. */
export function actionOf(method: string, { path }: ApiTarget): Action {
  const below = path.slice(API_ROOT.length);
  const row = ACTIONS.find(
    ([wanted, pattern]) =>
      (wanted === "any" || (wanted === "read" ? !isMutating(method) : wanted === method)) &&
      pattern.test(below),
  );
  return row?.[2] ?? "admin";
}
