import { parseRepositoryName } from "@stowage/oci/repository-name";
import { z } from "zod";
import type { Quota as RegistryQuota, QuotaNamespace } from "../../registry/quotas.ts";
import type { Api } from "./api-request.ts";
import { formatCursor, requireCursor } from "./cursor.ts";
import { answer, answerPage, describe } from "./describe.ts";
import { Count, EntriesMax, Next } from "./fields.ts";
import { body, params, parsed, query } from "./validate.ts";

/** The whole registry, whose namespace has no name; a component of a name cannot be called that. */
const WHOLE = "-";

const NamespaceParam = parsed<QuotaNamespace>(
  (text) => (text === WHOLE ? "" : parseRepositoryName(text)),
  `a namespace, or "${WHOLE}" for the whole registry`,
).meta({ description: `namespace, slashes as they are or as %2F; "${WHOLE}" is the whole registry` });

const Limit = Count.nullable().optional().meta({ description: "a maximum; null or absent: no limit" });

/** An empty body would lift every limit. */
const Limits = z
  .strictObject({ bytes: Limit, repositories: Limit, tags: Limit })
  .refine((limits) => Object.keys(limits).length > 0, "wanted at least one of bytes, repositories and tags");

const Quota = z
  .object({
    namespace: z.string().meta({ description: `"${WHOLE}" is the whole registry` }),
    bytes: Count.nullable(),
    repositories: Count.nullable(),
    tags: Count.nullable(),
    used: z.object({
      bytes: Count.meta({ description: "also what can be undone, and uploads that are open" }),
      repositories: Count,
      tags: Count,
    }),
  })
  .meta({ id: "Quota", description: "What a namespace may hold, and holds." });

const QuotaPage = z.object({ quotas: z.array(Quota), next: Next });

const InNamespace = z.object({ namespace: NamespaceParam });

const tag = "quotas";

/** What namespaces may hold. */
export function addQuotaRoutes(api: Api): void {
  api.get(
    "/quotas",
    describe({ id: "listQuotas", tag, summary: "All quotas with what is in use", answer: QuotaPage }),
    query(z.object({ n: EntriesMax, next: z.string().optional() })),
    async (context) => {
      const { n, next } = context.req.valid("query");
      const after = next === undefined ? null : requireCursor(next, tag).after.name;
      const name = after === null || after === "" ? after : parseRepositoryName(after);
      const { quotas } = context.env.exchange.registry;
      const listing = await quotas.list({ after: name, entriesMax: n });
      const position = listing.next === null ? null : { value: 0, name: listing.next };
      return answerPage(context, QuotaPage, {
        quotas: listing.entries.map(toQuota),
        next: position === null ? null : formatCursor({ of: tag, until: 0, after: position }),
      });
    },
  );
  api.get(
    "/quotas/:namespace",
    describe({ id: "getQuota", tag, summary: "A quota with what is in use", answer: Quota, errors: [404] }),
    params(InNamespace),
    async (context) => {
      const { namespace } = context.req.valid("param");
      return answer(Quota, toQuota(await context.env.exchange.registry.quotas.require(namespace)));
    },
  );
  api.put(
    "/quotas/:namespace",
    describe({
      id: "setQuota",
      tag,
      summary: "Sets what a namespace may hold, below what it holds, too: then nothing is added",
      answer: Quota,
      errors: [409],
    }),
    params(InNamespace),
    body(Limits),
    async (context) => {
      const { namespace } = context.req.valid("param");
      const { bytes = null, repositories = null, tags = null } = context.req.valid("json");
      const limits = { bytes, repositories, tags };
      return answer(Quota, toQuota(await context.env.exchange.registry.quotas.set(namespace, limits)));
    },
  );
  api.delete(
    "/quotas/:namespace",
    describe({ id: "deleteQuota", tag, summary: "Lifts a quota", answer: null, errors: [404] }),
    params(InNamespace),
    async (context) => {
      await context.env.exchange.registry.quotas.delete(context.req.valid("param").namespace);
      return new Response(null, { status: 204 });
    },
  );
}

function toQuota({ namespace, limits, used }: RegistryQuota): z.output<typeof Quota> {
  return { namespace: namespace === "" ? WHOLE : namespace, ...limits, used: { ...used } };
}
