import { parseRepositoryName } from "@stowage/oci/repository-name";
import { z } from "zod";
import { AccessSchema, PRINCIPAL_WANTED, Principal } from "../../auth/access-document.ts";
import type { AccessVersion } from "../../auth/access-rules.ts";
import { explainAccess, type Explanation, type Reason } from "../../auth/explain-access.ts";
import { RIGHTS } from "../../auth/grants.ts";
import type { Api } from "./api-request.ts";
import { answer, describe } from "./describe.ts";
import { body, parsed, query } from "./validate.ts";

const CheckQuery = z.object({
  who: Principal.meta({ description: PRINCIPAL_WANTED }),
  action: z.enum(RIGHTS),
  repository: parsed(parseRepositoryName, "a repository name")
    .optional()
    .meta({ description: "without it the registry as a whole" }),
});

const Check = z
  .object({
    allowed: z.boolean(),
    why: z.string(),
    rules: z
      .array(
        z.object({
          who: z.array(z.string()),
          repositories: z.array(z.string()),
          may: z.array(z.string()),
        }),
      )
      .meta({ description: "the access rules that give it" }),
    principals: z.array(z.string()).meta({ description: "what rules may name them by" }),
  })
  .meta({ id: "AccessCheck", description: "Whether somebody may do something, and why." });

const tag = "access";

/** Who may do what with which repositories. */
export function addAccessRoutes(api: Api): void {
  api.get(
    "/access",
    describe({
      id: "getAccess",
      tag,
      summary: "The access rules, with an ETag",
      answer: AccessSchema,
    }),
    async (context) => answerRules(await context.env.exchange.administration.directory.rules.version()),
  );
  api.put(
    "/access",
    describe({
      id: "setAccess",
      tag,
      summary: "Replaces the access rules; with If-Match only if they are still those of that ETag",
      answer: AccessSchema,
      errors: [409],
    }),
    body(AccessSchema),
    async (context) => {
      const { administration, caller, request } = context.env.exchange;
      const { rules } = administration.directory;
      const wanted = context.req.valid("json");
      const mark = markOf(request.headers.get("If-Match"));
      return answerRules(
        mark === null ? await rules.set(caller, wanted) : await rules.replace(caller, wanted, mark),
      );
    },
  );
  api.get(
    "/access/check",
    describe({
      id: "checkAccess",
      tag,
      summary: "Whether somebody may do something, and which rules say so",
      answer: Check,
    }),
    query(CheckQuery),
    async (context) => {
      const { who, action, repository = null } = context.req.valid("query");
      const { directory } = context.env.exchange.administration;
      const explanation = await explainAccess({ who, action, repository }, directory);
      const where = repository === null ? "every repository" : `"${repository}"`;
      return answer(Check, {
        allowed: explanation.allowed,
        why: describeReasons(explanation, { who, wanted: `${action} on ${where}` }),
        rules: explanation.reasons.flatMap((reason) => (reason.kind === "rule" ? [copyOf(reason)] : [])),
        principals: [...explanation.principals],
      });
    },
  );
}

function answerRules({ document, mark }: AccessVersion): Response {
  const response = answer(AccessSchema, document);
  response.headers.set("ETag", `"${mark}"`);
  return response;
}

/** Null: whatever is there (RFC 9110 section 13.1.1); of several the first counts. */
function markOf(header: string | null): string | null {
  const [first = ""] = header?.split(",") ?? [];
  const text = first.trim();
  return text === "" || text === "*" ? null : text.replace(/^"|"$/g, "");
}

function copyOf({ rule }: Extract<Reason, { kind: "rule" }>) {
  return { who: [...rule.who], repositories: [...rule.repositories], may: [...rule.may] };
}

function describeReasons(
  { allowed, reasons, principals, isKnown }: Explanation,
  { who, wanted }: { readonly who: string; readonly wanted: string },
): string {
  if (!isKnown) return `there is no account of ${who}, or it is disabled or has ended`;
  if (!allowed) {
    return `no rule gives ${wanted} to ${who}, whom rules may name by ${principals.join(", ")}`;
  }
  return reasons
    .map((reason) => {
      switch (reason.kind) {
        case "administrator":
          return `${who} is an administrator`;
        case "own-grant":
          return `${who} has a grant of its own`;
        case "rule":
          return `a rule gives ${reason.rule.may.join(", ")} on ${reason.rule.repositories.join(", ")} to ${reason.rule.who.join(", ")}`;
        default:
          return reason satisfies never;
      }
    })
    .join("; ");
}
