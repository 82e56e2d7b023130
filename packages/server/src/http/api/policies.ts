import { z } from "zod";
import { PoliciesSchema } from "../../registry/policies.ts";
import type { Api } from "./api-request.ts";
import { answer, describe } from "./describe.ts";
import { Count } from "./fields.ts";
import { body } from "./validate.ts";

const counts = {
  repositories: Count.meta({ description: "repositories that a policy is for" }),
  tagsKept: Count,
  tagsDeleted: Count,
  untaggedDeleted: Count.meta({ description: "0 in a dry run" }),
};

const RetentionReport = z
  .object({
    dryRun: z.boolean(),
    pausedMs: Count.meta({
      description: "milliseconds for which nothing is deleted because the clock was set",
    }),
    ...counts,
    byPolicy: z
      .array(z.object(counts))
      .readonly()
      .meta({ description: "the same for each policy, in the order of the document" }),
    deleted: z
      .array(z.object({ repository: z.string(), tag: z.string(), reason: z.string() }))
      .readonly()
      .meta({ description: "the first thousand tags" }),
  })
  .meta({ id: "RetentionReport", description: "What the policies deleted, or would." });

const RunRequest = z.strictObject({
  dryRun: z.boolean().default(false).meta({ description: "say what would be deleted, change nothing" }),
});

const tag = "policies";

/** Which tags are kept, and which are set once. */
export function addPolicyRoutes(api: Api): void {
  api.get(
    "/policies",
    describe({ id: "getPolicies", tag, summary: "The policies in force", answer: PoliciesSchema }),
    async (context) => {
      const policies = await context.env.exchange.registry.retention.policies();
      return answer(PoliciesSchema, policies?.document ?? PoliciesSchema.parse({}));
    },
  );
  api.put(
    "/policies",
    describe({ id: "setPolicies", tag, summary: "Replaces the policies", answer: PoliciesSchema }),
    body(PoliciesSchema),
    async (context) => {
      const { registry, caller } = context.env.exchange;
      const { document } = await registry.retention.setPolicies(caller, context.req.valid("json"));
      return answer(PoliciesSchema, document);
    },
  );
  api.post(
    "/retention",
    describe({ id: "applyPolicies", tag, summary: "Applies the policies now", answer: RetentionReport }),
    body(RunRequest),
    async (context) => {
      const { registry, connection, request } = context.env.exchange;
      // Judging every tag of a large registry takes longer than a connection may be silent.
      connection.setIdleTimeout(0);
      const report = await registry.retention.run(request.signal, context.req.valid("json"));
      return answer(RetentionReport, report);
    },
  );
}
