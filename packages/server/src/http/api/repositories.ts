import { z } from "zod";
import { parseRepositoryName } from "@stowage/oci/repository-name";
import {
  type Listing,
  type Position,
  positionOf,
  type RepositoriesRequest,
  type RepositorySummary,
} from "../../registry/inventory.ts";
import { listVisible } from "../../registry/visible-entries.ts";
import type { Exchange } from "../exchange.ts";
import { seesEverything, visibleTo } from "../visible.ts";
import { type Api, repositoryOf } from "./api-request.ts";
import { formatCursor, requireCursor } from "./cursor.ts";
import { answer, answerPage, describe, isoTime, isoTimeOrNull } from "./describe.ts";
import { Bytes, Count, EntriesMax, Flag, InRepository, Next, NOT_TOLD, Order, Time } from "./fields.ts";
import { body, params, parsed, query } from "./validate.ts";

const Repository = z
  .object({
    name: z.string(),
    manifests: Count,
    tags: Count,
    logicalBytes: Count.meta({ description: "manifests and their content, each counted where it is used" }),
    blobBytes: Count.meta({ description: "blobs, each counted once" }),
    pushedAt: Time.nullable(),
    createdAt: Time,
  })
  .meta({ id: "Repository" });

const RepositoryPage = z.object({ repositories: z.array(Repository), next: Next });

const RepositoryDetails = Repository.extend({
  exclusiveBlobs: Count.nullable(),
  exclusiveBytes: Count.nullable().meta({
    description: `blobs that only this repository has: what deleting it frees; ${NOT_TOLD}`,
  }),
}).meta({ id: "RepositoryDetails" });

const RepositoryDeleted = z
  .object({
    dryRun: z.boolean(),
    deletion: Count.nullable().meta({ description: "id of the record that undoes it; null of a dry run" }),
    undoUntil: Time.nullable(),
    repository: z.string(),
    manifests: Count,
    tags: Count,
    wouldFree: z.object({ blobs: Count, bytes: Bytes }).nullable().meta({ description: NOT_TOLD }),
  })
  .meta({ id: "RepositoryDeleted" });

const NewRepository = z.strictObject({ name: parsed(parseRepositoryName, "a repository name") });

const RepositoryQuery = z.object({
  search: z.string().max(255).default("").meta({ description: "part of the name, whatever its case" }),
  prefix: z.string().max(255).default("").meta({ description: "beginning of the name" }),
  sort: z.enum(["name", "pushed", "size", "tags"]).default("name"),
  order: Order,
  n: EntriesMax,
  next: z.string().optional(),
});

const tag = "repositories";

export function addRepositoryRoutes(api: Api): void {
  api.get(
    "/repositories",
    describe({
      id: "listRepositories",
      tag,
      summary: "Repositories that the caller may pull, empty ones included",
      answer: RepositoryPage,
    }),
    query(RepositoryQuery),
    async (context) => {
      const { exchange } = context.env;
      const { n, next, order, ...wanted } = context.req.valid("query");
      const of = `repositories ${wanted.sort} ${order}`;
      const isVisible = visibleTo(exchange);
      // Where a page ends may be at a repository that the caller must not know, so those cursors are sealed.
      const said = next === undefined || isVisible === null ? next : ((await exchange.seal.open(next)) ?? "");
      const cursor = said === undefined ? null : requireCursor(said, of);
      const until = cursor?.until ?? (await exchange.registry.inventory.now());
      const after = cursor?.after ?? null;
      const request = { ...wanted, descending: order === "desc", after, until, entriesMax: n };
      const listing = await listRepositories(exchange, request, isVisible);
      const cursorAfter = listing.next === null ? null : formatCursor({ of, until, after: listing.next });
      return answerPage(context, RepositoryPage, {
        repositories: listing.entries.map(toRepository),
        next:
          cursorAfter === null || isVisible === null ? cursorAfter : await exchange.seal.close(cursorAfter),
      });
    },
  );
  api.post(
    "/repositories",
    describe({
      id: "createRepository",
      tag,
      summary: "Makes an empty repository",
      answer: Repository,
      status: 201,
      errors: [409],
    }),
    body(NewRepository),
    async (context) => {
      const { name } = context.req.valid("json");
      const made = await context.env.exchange.registry.inventory.createRepository(name);
      return answer(Repository, toRepository(made), 201);
    },
  );
  api.get(
    "/repositories/:name",
    describe({
      id: "getRepository",
      tag,
      summary: "A repository, and what deleting it frees",
      answer: RepositoryDetails,
      errors: [404],
    }),
    params(InRepository),
    async (context) => {
      const { registry, request } = context.env.exchange;
      const repository = await registry.inventory.repository(repositoryOf(context));
      const exclusive = seesEverything(context.env.exchange)
        ? await registry.inventory.exclusive(repository.name, request.signal)
        : null;
      const details = {
        ...toRepository(repository),
        exclusiveBlobs: exclusive?.blobs ?? null,
        exclusiveBytes: exclusive?.bytes ?? null,
      };
      return answer(RepositoryDetails, details);
    },
  );
  api.delete(
    "/repositories/:name",
    describe({
      id: "deleteRepository",
      tag,
      summary: "Deletes a repository with everything in it; it can be undone for a while",
      answer: RepositoryDeleted,
      errors: [404],
    }),
    params(InRepository),
    query(z.object({ dryRun: Flag })),
    async (context) => {
      const { registry, request, caller } = context.env.exchange;
      const { dryRun } = context.req.valid("query");
      const { name, manifests, tags } = await registry.inventory.repository(repositoryOf(context));
      const wouldFree = seesEverything(context.env.exchange)
        ? await registry.inventory.exclusive(name, request.signal)
        : null;
      const done = dryRun ? null : await registry.deletions.deleteRepository(name, caller.name);
      return answer(RepositoryDeleted, {
        dryRun,
        deletion: done?.deletion ?? null,
        undoUntil: isoTimeOrNull(done?.undoUntil ?? null),
        repository: name,
        manifests,
        tags,
        wouldFree,
      });
    },
  );
}

/**
 * For whoever sees some of them only, nothing is looked for in the store: how long it takes to find what is hidden would
 * tell, prefix by prefix, what it is called.
 */
async function listRepositories(
  { registry }: Exchange,
  request: RepositoriesRequest,
  isVisible: ReturnType<typeof visibleTo>,
): Promise<Listing<RepositorySummary>> {
  const { inventory } = registry;
  if (isVisible === null) return await inventory.repositories(request);
  const { sort, after, entriesMax, prefix } = request;
  const search = request.search.toLowerCase();
  const everything = { ...request, search: "", prefix: "" };
  return await listVisible<RepositorySummary, Position>({
    read: async (from, max) =>
      (await inventory.repositories({ ...everything, after: from, entriesMax: max })).entries,
    positionOf: (repository) => positionOf(repository, sort),
    isVisible: ({ name }) => isVisible(name) && name.startsWith(prefix) && name.includes(search),
    after,
    entriesMax,
  });
}

function toRepository(repository: RepositorySummary): z.output<typeof Repository> {
  return {
    ...repository,
    pushedAt: isoTimeOrNull(repository.pushedAt),
    createdAt: isoTime(repository.createdAt),
  };
}
