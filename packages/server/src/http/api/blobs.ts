import { z } from "zod";
import type { Api } from "./api-request.ts";
import { formatCursor, requireCursor } from "./cursor.ts";
import { answerPage, describe, isoTime, isoTimeOrNull } from "./describe.ts";
import { Bytes, Count, Digest, DigestParam, EntriesMax, Next, Time } from "./fields.ts";
import { params, query } from "./validate.ts";

const Blob = z
  .object({
    digest: Digest,
    size: Bytes,
    createdAt: Time,
    verifiedAt: Time.nullable().meta({ description: "when its bytes were last found right" }),
    quarantinedAt: Time.nullable().meta({ description: "since when it is not served: its bytes are wrong" }),
    repositories: z.array(
      z.object({
        name: z.string(),
        deleted: z
          .boolean()
          .meta({ description: "a deletion of the repository can be undone, or is under way" }),
        linkedAt: Time,
        reviewAt: Time.nullable().meta({
          description:
            "when the collector looks whether it is needed: ahead of that it is leased to a pusher",
        }),
        manifests: z.array(Digest).meta({ description: "manifests that need it, at most 100" }),
        deletions: z.array(Count).meta({ description: "deletions that keep it until they end, at most 100" }),
      }),
    ),
    next: Next,
  })
  .meta({ id: "Blob", description: "A blob, and why it is still there." });

const OF = "blob";

export function addBlobRoutes(api: Api): void {
  api.get(
    "/blobs/:digest",
    describe({
      id: "getBlob",
      tag: "blobs",
      summary: "A blob and what keeps it",
      answer: Blob,
      errors: [404],
    }),
    params(z.object({ digest: DigestParam })),
    query(z.object({ n: EntriesMax, next: z.string().optional() })),
    async (context) => {
      const { n, next } = context.req.valid("query");
      const after = next === undefined ? 0 : requireCursor(next, OF).after.value;
      const { inventory } = context.env.exchange.registry;
      const found = await inventory.blob(context.req.valid("param").digest, { after, entriesMax: n });
      const { blob, links } = found;
      return answerPage(context, Blob, {
        digest: blob.digest,
        size: blob.size,
        createdAt: isoTime(blob.createdAt),
        verifiedAt: isoTimeOrNull(blob.verifiedAt),
        quarantinedAt: isoTimeOrNull(blob.quarantinedAt),
        repositories: links.map((link) => ({
          name: link.repository,
          deleted: link.isDeleted,
          linkedAt: isoTime(link.linkedAt),
          reviewAt: isoTimeOrNull(link.reviewAt),
          manifests: [...link.manifests],
          deletions: [...link.deletions],
        })),
        next:
          found.next === null
            ? null
            : formatCursor({ of: OF, until: 0, after: { value: found.next, name: "" } }),
      });
    },
  );
}
