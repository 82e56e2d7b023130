import { WorkloadsSchema } from "../../auth/workload-document.ts";
import type { Api } from "./api-request.ts";
import { answer, describe } from "./describe.ts";
import { body } from "./validate.ts";

const tag = "access";

/** Issuers elsewhere whose tokens open the registry without a password. */
export function addWorkloadRoutes(api: Api): void {
  api.get(
    "/workloads",
    describe({ id: "getWorkloads", tag, summary: "The issuers that are trusted", answer: WorkloadsSchema }),
    async (context) => {
      const { workloads } = context.env.exchange.administration;
      return answer(WorkloadsSchema, await workloads.document());
    },
  );
  api.put(
    "/workloads",
    describe({
      id: "setWorkloads",
      tag,
      summary: "Replaces the issuers that are trusted",
      answer: WorkloadsSchema,
    }),
    body(WorkloadsSchema),
    async (context) => {
      const { administration, caller } = context.env.exchange;
      const document = context.req.valid("json");
      await administration.workloads.set(caller, document);
      return answer(WorkloadsSchema, document);
    },
  );
}
