import { parseRepositoryName } from "@stowage/oci/repository-name";
import { z } from "zod";
import { seesEverything } from "../visible.ts";
import type { Api } from "./api-request.ts";
import { formatCursor, requireCursor } from "./cursor.ts";
import { answer, answerPage, describe, isoTimeOrNull } from "./describe.ts";
import { Bytes, Count, EntriesMax, Flag, NameParam, Next, NOT_TOLD, Time } from "./fields.ts";
import { params, parsed, query } from "./validate.ts";

const NamespacePage = z.object({
  namespaces: z.array(
    z
      .object({
        name: z.string(),
        repositories: Count.meta({ description: "repositories of this name and below it" }),
        blobBytes: Bytes,
      })
      .meta({ id: "Namespace" }),
  ),
  next: Next,
});

const NamespaceDeleted = z
  .object({
    dryRun: z.boolean(),
    repositories: Count,
    deletions: z
      .array(Count)
      .meta({ description: "ids of the records that undo it, one of each repository" }),
    undoUntil: Time.nullable(),
    partial: z.boolean().meta({ description: "repositories are left: ask again" }),
    wouldFree: z
      .object({ blobs: Count, bytes: Bytes })
      .nullable()
      .meta({ description: `of a dry run; ${NOT_TOLD}` }),
  })
  .meta({ id: "NamespaceDeleted" });

const NamespaceQuery = z.object({
  parent: parsed(parseRepositoryName, "a namespace")
    .optional()
    .meta({ description: "without it the first level" }),
  n: EntriesMax,
  next: z.string().optional(),
});

const tag = "namespaces";

export function addNamespaceRoutes(api: Api): void {
  api.get(
    "/namespaces",
    describe({
      id: "listNamespaces",
      tag,
      summary: "The next level of names, with what is at and below each",
      answer: NamespacePage,
    }),
    query(NamespaceQuery),
    async (context) => {
      const { parent = null, n, next } = context.req.valid("query");
      const of = `namespaces ${parent ?? ""}`;
      const after = next === undefined ? "" : requireCursor(next, of).after.name;
      const { inventory } = context.env.exchange.registry;
      const listing = await inventory.namespaces({ parent, after, entriesMax: n });
      const position = listing.next;
      return answerPage(context, NamespacePage, {
        namespaces: [...listing.entries],
        next: position === null ? null : formatCursor({ of, until: 0, after: position }),
      });
    },
  );
  api.delete(
    "/namespaces/:namespace",
    describe({
      id: "deleteNamespace",
      tag,
      summary: "Deletes all repositories of this name and below it; each can be undone for a while",
      answer: NamespaceDeleted,
    }),
    params(z.object({ namespace: NameParam })),
    query(z.object({ dryRun: Flag })),
    async (context) => {
      const { namespace } = context.req.valid("param");
      const { dryRun } = context.req.valid("query");
      const { registry, request, caller, connection } = context.env.exchange;
      // Thousands of repositories take longer than a connection may be silent.
      connection.setIdleTimeout(0);
      if (dryRun) {
        const found = await registry.inventory.namespaceExclusive(namespace, request.signal);
        const { repositories, ...freed } = found;
        const wouldFree = seesEverything(context.env.exchange) ? freed : null;
        const nothing = { deletions: [], undoUntil: null, partial: false };
        return answer(NamespaceDeleted, { dryRun, repositories, ...nothing, wouldFree });
      }
      const done = await registry.deletions.deleteNamespace(namespace, caller.name, request.signal);
      return answer(NamespaceDeleted, {
        dryRun,
        repositories: done.deletions.length,
        deletions: [...done.deletions],
        undoUntil: isoTimeOrNull(done.undoUntil),
        partial: done.isPartial,
        wouldFree: null,
      });
    },
  );
}
