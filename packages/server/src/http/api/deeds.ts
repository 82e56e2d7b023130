import { parseDigest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import { parseTag } from "@stowage/oci/tag";
import type { AuditDeed } from "../../registry/audit.ts";
import { API_ROOT } from "./target.ts";

type Action = AuditDeed["action"];

/** What a change of the management API is called in the audit trail; the first row that fits. */
const DEEDS: readonly (readonly [method: string, path: RegExp, action: Action])[] = [
  ["POST", /^\/repositories$/, "repository.create"],
  ["DELETE", /^\/(?:repositories|namespaces)\/[^/]+$/, "repository.delete"],
  ["PUT", /^\/repositories\/[^/]+\/-\/tags\/([^/]+)$/, "tag.set"],
  ["DELETE", /^\/repositories\/[^/]+\/-\/tags\/([^/]+)$/, "tag.delete"],
  ["DELETE", /^\/repositories\/[^/]+\/-\/manifests\/([^/]+)$/, "manifest.delete"],
  ["POST", /^\/deletions\/[^/]+\/undo$/, "deletion.undo"],
  ["POST", /^\/deletions\/[^/]+\/purge$/, "deletion.purge"],
  ["POST", /^\/gc$/, "garbage.run"],
  ["POST", /^\/retention$/, "retention.run"],
  ["PUT", /^\/policies$/, "policies.set"],
  ["PUT", /^\/quotas\//, "quota.set"],
  ["DELETE", /^\/quotas\//, "quota.set"],
  ["PUT", /^\/access$/, "access.set"],
  ["PUT", /^\/workloads$/, "access.set"],
  ["POST", /^\/keys\/rotate$/, "key.rotate"],
  ["POST", /^\/self\/tokens$/, "token.create"],
  ["POST", /^\/robots\/[^/]+\/(?:tokens|rotate)$/, "token.create"],
  ["DELETE", /\/tokens\/([^/]+)$/, "token.revoke"],
  ["POST", /^\/(?:users|robots)$/, "account.create"],
  ["DELETE", /^\/(?:users|robots)\/[^/]+$/, "account.delete"],
  ["PUT", /^\/(?:users|robots|self)\//, "account.change"],
];

export interface ApiChange {
  readonly method: string;
  /** See ApiTarget. */
  readonly path: string;
  readonly status: number;
  readonly repository: RepositoryName | null;
}

/** What a request of the management API changed, or null. */
export function apiDeedOf({ method, path, status, repository }: ApiChange): AuditDeed | null {
  const below = path.slice(API_ROOT.length);
  const row = DEEDS.find(([wanted, pattern]) => wanted === method && pattern.test(below));
  if (row === undefined) return null;
  const [, pattern, action] = row;
  const name = decode(pattern.exec(below)?.[1] ?? "");
  const account = accountIn(below);
  return {
    action,
    repository,
    reference: repository === null ? null : (parseTag(name) ?? parseDigest(name)),
    status,
    detail: {
      ...(account === null ? {} : { account }),
      ...(action === "token.revoke" ? { token: name } : {}),
      ...(below.startsWith("/namespaces/") || below.startsWith("/quotas/")
        ? { namespace: decode(below.split("/")[2] ?? "") }
        : {}),
    },
  };
}

/** The account that the path names: it exists, because the change was made. */
function accountIn(below: string): string | null {
  const [, kind, name] = /^\/(users|robots)\/([^/]+)/.exec(below) ?? [];
  if (name === undefined) return null;
  return kind === "robots" ? `robot:${decode(name)}` : decode(name);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
