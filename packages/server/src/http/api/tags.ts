import { parseDigest } from "@stowage/oci/digest";
import { z } from "zod";
import type { TagSummary } from "../../registry/inventory.ts";
import { type Api, repositoryOf } from "./api-request.ts";
import { formatCursor, requireCursor } from "./cursor.ts";
import { answer, answerPage, describe, isoTime, isoTimeOrNull } from "./describe.ts";
import {
  Count,
  Deleted,
  Digest,
  EntriesMax,
  formatPlatform,
  InRepository,
  Next,
  Order,
  PlatformText,
  TagParam,
  Time,
} from "./fields.ts";
import { body, params, parsed, query } from "./validate.ts";

/** Most patterns of one request. */
const GLOBS_MAX = 10;

const Tag = z
  .object({
    name: z.string(),
    digest: Digest,
    mediaType: z.string(),
    artifactType: z.string().nullable(),
    size: Count.meta({ description: "bytes of manifest and content; of an index with what it lists" }),
    platform: PlatformText,
    pushedAt: Time,
    pushedBy: z.string().nullable(),
    pulledAt: Time.nullable(),
    sharedWith: Count.meta({ description: "other tags of the same manifest" }),
  })
  .meta({ id: "Tag" });

const TagPage = z.object({ tags: z.array(Tag), next: Next });

const TagDetails = Tag.extend({
  sameDigest: z.array(z.string()).meta({ description: "the other tags of the same manifest, at most 1000" }),
}).meta({ id: "TagDetails" });

const Globs = z
  .union([z.string().transform((glob) => [glob]), z.array(z.string()).max(GLOBS_MAX)])
  .default([])
  .meta({ description: "glob of *, ?, [a-z] and {a,b}; may be repeated" });

const TagQuery = z.object({
  sort: z.enum(["name", "pushed", "pulled", "size", "semver"]).default("name"),
  order: Order,
  filter: Globs,
  exclude: Globs,
  n: EntriesMax,
  next: z.string().optional(),
});

const OneTag = InRepository.extend({ tag: TagParam });

const tag = "tags";

export function addTagRoutes(api: Api): void {
  api.get(
    "/repositories/:name/-/tags",
    describe({ id: "listTags", tag, summary: "Tags of a repository", answer: TagPage, errors: [404] }),
    params(InRepository),
    query(TagQuery),
    async (context) => {
      const { inventory } = context.env.exchange.registry;
      const { n, next, order, ...wanted } = context.req.valid("query");
      const of = `tags ${wanted.sort} ${order}`;
      const cursor = next === undefined ? null : requireCursor(next, of);
      const until = cursor?.until ?? (await inventory.now());
      const listing = await inventory.tags(repositoryOf(context), {
        ...wanted,
        descending: order === "desc",
        after: cursor?.after ?? null,
        until,
        entriesMax: n,
      });
      const after = listing.next;
      return answerPage(context, TagPage, {
        tags: listing.entries.map(toTag),
        next: after === null ? null : formatCursor({ of, until, after }),
      });
    },
  );
  api.get(
    "/repositories/:name/-/tags/:tag",
    describe({ id: "getTag", tag, summary: "A tag", answer: TagDetails, errors: [404] }),
    params(OneTag),
    async (context) => {
      const { inventory } = context.env.exchange.registry;
      const found = await inventory.tag(repositoryOf(context), context.req.valid("param").tag);
      return answer(TagDetails, { ...toTag(found), sameDigest: [...found.sameDigest] });
    },
  );
  api.put(
    "/repositories/:name/-/tags/:tag",
    describe({
      id: "setTag",
      tag,
      summary: "Points a tag at a manifest that the repository has; an immutable tag does not move",
      answer: TagDetails,
      errors: [404, 409],
    }),
    params(OneTag),
    body(z.strictObject({ digest: parsed(parseDigest, "a digest") })),
    async (context) => {
      const { registry, caller } = context.env.exchange;
      const repository = repositoryOf(context);
      const wanted = context.req.valid("param").tag;
      const { digest } = context.req.valid("json");
      await registry.setTag({ caller, repository, tag: wanted, digest });
      const found = await registry.inventory.tag(repository, wanted);
      return answer(TagDetails, { ...toTag(found), sameDigest: [...found.sameDigest] });
    },
  );
  api.delete(
    "/repositories/:name/-/tags/:tag",
    describe({
      id: "deleteTag",
      tag,
      summary: "Takes the tag away; the manifest stays",
      answer: Deleted,
      errors: [404, 409],
    }),
    params(OneTag),
    async (context) => {
      const { registry, caller } = context.env.exchange;
      const reference = { kind: "tag", tag: context.req.valid("param").tag } as const;
      const repository = repositoryOf(context);
      const { deletion } = await registry.manifests.delete({
        caller,
        repository,
        reference,
        withParts: false,
      });
      const { undoUntil } = await registry.deletions.describe(deletion);
      return answer(Deleted, { deletion, undoUntil: isoTimeOrNull(undoUntil) });
    },
  );
}

function toTag(summary: TagSummary): z.output<typeof Tag> {
  const { name, digest, mediaType, artifactType, size, pushedBy, sharedWith } = summary;
  return {
    name,
    digest,
    mediaType,
    artifactType,
    size,
    platform: formatPlatform(summary.platform),
    pushedAt: isoTime(summary.pushedAt),
    pushedBy,
    pulledAt: isoTimeOrNull(summary.pulledAt),
    sharedWith,
  };
}
