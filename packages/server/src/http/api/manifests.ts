import { z } from "zod";
import { seesEverything } from "../visible.ts";
import { type Api, repositoryOf } from "./api-request.ts";
import { answer, describe, isoTime, isoTimeOrNull } from "./describe.ts";
import {
  Bytes,
  Count,
  Digest,
  DigestParam,
  Flag,
  formatPlatform,
  InRepository,
  NOT_TOLD,
  PlatformText,
  Time,
} from "./fields.ts";
import { params, query } from "./validate.ts";

const Manifest = z
  .object({
    digest: Digest,
    mediaType: z.string(),
    artifactType: z.string().nullable(),
    size: Count.meta({ description: "bytes of the manifest" }),
    contentSize: Count.meta({ description: "bytes of config and layers" }),
    platform: PlatformText,
    pushedAt: Time,
    pushedBy: z.string().nullable(),
    pulledAt: Time.nullable(),
    subject: Digest.nullable(),
    tags: z.array(z.string()),
    children: z
      .array(
        z.object({
          digest: Digest,
          mediaType: z.string().nullable(),
          size: Count.nullable().meta({ description: "null: the repository does not have it" }),
          platform: PlatformText,
        }),
      )
      .meta({ description: "manifests that it lists" }),
    parents: z.array(Digest).meta({ description: "indexes that list it" }),
    referrers: Count.meta({ description: "manifests of which it is the subject" }),
    blobs: z.array(z.object({ digest: Digest, size: Bytes })),
  })
  .meta({ id: "Manifest", description: "Lists have at most 1000 entries each." });

const ManifestDeleted = z
  .object({
    dryRun: z.boolean(),
    deletion: Count.nullable().meta({ description: "id of the record that undoes it; null of a dry run" }),
    undoUntil: Time.nullable(),
    manifests: z.array(Digest),
    tags: z.array(z.string()),
    blobs: Count.nullable().meta({ description: `blobs that nothing else needs; ${NOT_TOLD}` }),
    bytes: Count.nullable().meta({
      description: `their bytes and those of the manifests, free when the undo time ends; ${NOT_TOLD}`,
    }),
  })
  .meta({ id: "ManifestDeleted" });

const OneManifest = InRepository.extend({ digest: DigestParam });

const DeleteQuery = z.object({
  parts: z
    .enum(["true", "false"])
    .default("true")
    .transform((text) => text === "true")
    .meta({
      type: "boolean",
      enum: [true, false],
      default: true,
      description: "with children of an index that nothing else holds, and referrers",
    }),
  dryRun: Flag,
});

const tag = "manifests";

export function addManifestRoutes(api: Api): void {
  api.get(
    "/repositories/:name/-/manifests/:digest",
    describe({
      id: "getManifest",
      tag,
      summary: "A manifest and what it is tied to",
      answer: Manifest,
      errors: [404],
    }),
    params(OneManifest),
    async (context) => {
      const { inventory } = context.env.exchange.registry;
      const found = await inventory.manifest(repositoryOf(context), context.req.valid("param").digest);
      return answer(Manifest, {
        ...found,
        platform: formatPlatform(found.platform),
        pushedAt: isoTime(found.pushedAt),
        pulledAt: isoTimeOrNull(found.pulledAt),
        tags: [...found.tags],
        children: found.children.map((child) => ({ ...child, platform: formatPlatform(child.platform) })),
        parents: [...found.parents],
        blobs: [...found.blobs],
      });
    },
  );
  api.delete(
    "/repositories/:name/-/manifests/:digest",
    describe({
      id: "deleteManifest",
      tag,
      summary: "Deletes a manifest with its tags and parts; it can be undone for a while",
      answer: ManifestDeleted,
      errors: [404, 405, 409],
    }),
    params(OneManifest),
    query(DeleteQuery),
    async (context) => {
      const { registry, caller } = context.env.exchange;
      const { digest } = context.req.valid("param");
      const { dryRun, parts } = context.req.valid("query");
      const repository = repositoryOf(context);
      const preview = await registry.manifests.previewDelete(repository, digest, { withParts: parts });
      const isTold = seesEverything(context.env.exchange);
      const content = {
        manifests: [...preview.manifests],
        tags: [...preview.tags],
        blobs: isTold ? preview.blobs : null,
        bytes: isTold ? preview.bytes : null,
      };
      if (dryRun) return answer(ManifestDeleted, { dryRun, deletion: null, undoUntil: null, ...content });
      const reference = { kind: "digest", digest } as const;
      const { deletion } = await registry.manifests.delete({
        caller,
        repository,
        reference,
        withParts: parts,
      });
      const { undoUntil } = await registry.deletions.describe(deletion);
      return answer(ManifestDeleted, { dryRun, deletion, undoUntil: isoTimeOrNull(undoUntil), ...content });
    },
  );
}
