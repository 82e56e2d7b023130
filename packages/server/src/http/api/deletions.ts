import { z } from "zod";
import type { Deletion as DeletionRecord } from "../../registry/deletions.ts";
import type { Api } from "./api-request.ts";
import { answer, answerPage, describe, isoTime } from "./describe.ts";
import { Count, Digest, EntriesMax, IdParam, Next, Time } from "./fields.ts";
import { params, query } from "./validate.ts";

const Deletion = z
  .object({
    id: Count,
    kind: z.enum(["repository", "manifest", "tag"]),
    repository: z.string(),
    manifests: z.array(Digest),
    tags: z.array(z.string()),
    deletedAt: Time,
    deletedBy: z.string().nullable(),
    reason: z.enum(["request", "untagged", "retention"]),
    undoUntil: Time,
  })
  .meta({ id: "Deletion", description: "Something that was deleted and can still be brought back." });

const DeletionPage = z.object({ deletions: z.array(Deletion), next: Next });

const Undone = z.object({
  skipped: z
    .array(z.string())
    .meta({ description: "tags that point somewhere else by now and were left there" }),
});

const OneDeletion = z.object({ id: IdParam });

const tag = "deletions";

export function addDeletionRoutes(api: Api): void {
  api.get(
    "/deletions",
    describe({
      id: "listDeletions",
      tag,
      summary: "What can be undone, newest first",
      answer: DeletionPage,
    }),
    query(z.object({ before: IdParam.optional(), n: EntriesMax })),
    async (context) => {
      const { before = null, n } = context.req.valid("query");
      const page = await context.env.exchange.registry.deletions.list({ before, entriesMax: n });
      const next = page.next === null ? null : String(page.next);
      return answerPage(
        context,
        DeletionPage,
        { deletions: page.entries.map(toDeletion), next },
        { parameter: "before" },
      );
    },
  );
  api.get(
    "/deletions/:id",
    describe({ id: "getDeletion", tag, summary: "A deletion", answer: Deletion, errors: [404] }),
    params(OneDeletion),
    async (context) => {
      const { deletions } = context.env.exchange.registry;
      return answer(Deletion, toDeletion(await deletions.require(context.req.valid("param").id)));
    },
  );
  api.post(
    "/deletions/:id/undo",
    describe({
      id: "undoDeletion",
      tag,
      summary: "Brings back what the deletion took",
      answer: Undone,
      errors: [404, 409],
    }),
    params(OneDeletion),
    async (context) => {
      const { deletions } = context.env.exchange.registry;
      return answer(Undone, { skipped: [...(await deletions.undo(context.req.valid("param").id))] });
    },
  );
  api.post(
    "/deletions/:id/purge",
    describe({
      id: "purgeDeletion",
      tag,
      summary: "Gives up the right to undo it, so that the next collection frees its content",
      answer: null,
      errors: [404],
    }),
    params(OneDeletion),
    async (context) => {
      await context.env.exchange.registry.deletions.purge(context.req.valid("param").id);
      return new Response(null, { status: 204 });
    },
  );
}

function toDeletion(record: DeletionRecord): z.output<typeof Deletion> {
  return {
    ...record,
    manifests: [...record.manifests],
    tags: [...record.tags],
    deletedAt: isoTime(record.deletedAt),
    undoUntil: isoTime(record.undoUntil),
  };
}
