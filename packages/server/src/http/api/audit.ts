import { z } from "zod";
import type { StoredAuditEntry } from "../../registry/audit.ts";
import { AUDIT_ACTIONS } from "../../registry/audit-entry.ts";
import type { Api } from "./api-request.ts";
import { answerPage, describe, isoTime } from "./describe.ts";
import { Count, EntriesMax, IdParam, NameParam, Next, Time } from "./fields.ts";
import { query } from "./validate.ts";

const Entry = z
  .object({
    id: Count,
    at: Time,
    requestId: z.string().nullable().meta({ description: "X-Request-Id of the answer" }),
    caller: z.string().nullable().meta({ description: "null: the anonymous caller, or the registry itself" }),
    credential: z.string().nullable().meta({ description: "kind and public id of what the caller showed" }),
    address: z.string().nullable(),
    userAgent: z.string().nullable(),
    action: z.enum(AUDIT_ACTIONS),
    repository: z.string().nullable(),
    reference: z.string().nullable(),
    status: Count,
    count: Count.meta({ description: "refusals that this entry stands for" }),
    detail: z.record(z.string(), z.unknown()),
  })
  .meta({ id: "AuditEntry", description: "Who did what, from where, with which credential." });

const AuditPage = z.object({ entries: z.array(Entry), next: Next });

const Instant = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .meta({ type: "string", format: "date-time" });

const AuditQuery = z.object({
  caller: z.string().max(256).optional(),
  repository: NameParam.optional(),
  prefix: z.string().max(255).default("").meta({ description: "beginning of the repository's name" }),
  action: z.enum(AUDIT_ACTIONS).optional(),
  since: Instant.optional(),
  until: Instant.optional(),
  before: IdParam.optional(),
  n: EntriesMax,
  format: z.enum(["json", "ndjson"]).default("json").meta({ description: "ndjson: one entry in a line" }),
});

export function addAuditRoutes(api: Api): void {
  api.get(
    "/audit",
    describe({
      id: "listAudit",
      tag: "audit",
      summary: "Who did what, newest first",
      answer: AuditPage,
    }),
    query(AuditQuery),
    async (context) => {
      const wanted = context.req.valid("query");
      const filter = {
        caller: wanted.caller ?? null,
        repository: wanted.repository ?? null,
        prefix: wanted.prefix,
        action: wanted.action ?? null,
        since: wanted.since ?? null,
        until: wanted.until ?? null,
      };
      const { audit } = context.env.exchange.registry;
      const page = await audit.list(filter, { before: wanted.before ?? null, entriesMax: wanted.n });
      const entries = page.entries.map(toEntry);
      const next = page.next === null ? null : String(page.next);
      const response = answerPage(context, AuditPage, { entries, next }, { parameter: "before" });
      return wanted.format === "json" ? response : asLines(entries, response.headers);
    },
  );
}

/** The entries alone, one in a line; what follows is in the `Link` of the page. */
function asLines(entries: readonly unknown[], headers: Headers): Response {
  headers.set("Content-Type", "application/x-ndjson");
  return new Response(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""), { headers });
}

function toEntry({ id, at, isRefusal: _, detail, ...entry }: StoredAuditEntry): z.output<typeof Entry> {
  return { id, at: isoTime(at), ...entry, detail: { ...detail } };
}
