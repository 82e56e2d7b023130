import { z } from "zod";
import type { Api } from "./api-request.ts";
import { answer, describe } from "./describe.ts";
import { body, params, parsed } from "./validate.ts";

/** Longest hold, in seconds: a backup that died must not keep objects for ever. */
const HOLD_SECONDS_MAX = 3_600;

const Count = z.number().int().min(0);

const GarbagePreview = z
  .object({
    collectable: z.object({ blobs: Count, bytes: Count }),
    tombstoned: z.object({ objects: Count, bytes: Count }),
    deletions: Count.meta({ description: "deletions that can still be undone" }),
    holds: Count.meta({ description: "backups that keep objects from being deleted" }),
  })
  .meta({ id: "GarbagePreview", description: "What is on its way to being freed." });

const GarbageReport = z
  .object({
    pausedMs: Count.meta({ description: "a jump of the clock pauses the collector this long" }),
    uploadsExpired: Count,
    untaggedDeleted: Count,
    deletionsEnded: Count,
    unlinked: Count,
    blobsCollected: Count,
    bytesCollected: Count,
    objectsDeleted: Count,
    bytesFreed: Count,
  })
  .meta({ id: "GarbageReport", description: "What a run of the collector did." });

const CollectRequest = z.strictObject({
  dryRun: z.boolean().default(false).meta({ description: "answer with the preview, change nothing" }),
  purge: z.boolean().default(false).meta({ description: "end the undo time of all deletions first" }),
  resume: z.boolean().default(false).meta({ description: "the clock is right again after a jump" }),
});

const HoldId = parsed((text) => (/^[a-z0-9-]{1,64}$/.test(text) ? text : null), "1 to 64 of a-z, 0-9 and -");

const Hold = z
  .strictObject({ id: HoldId, seconds: z.number().int().min(1).max(HOLD_SECONDS_MAX) })
  .meta({ id: "Hold" });

const HoldAnswer = z.object({ id: z.string(), seconds: z.number() });

/** The collector: what there is to free, a run of it, and holds of backups. */
export function addGarbageRoutes(api: Api): void {
  api.get(
    "/gc",
    describe({
      id: "previewGarbage",
      tag: "garbage",
      summary: "What is on its way to being freed",
      answer: GarbagePreview,
    }),
    async (context) => answer(GarbagePreview, await context.env.exchange.registry.collector.preview()),
  );
  api.post(
    "/gc",
    describe({
      id: "collectGarbage",
      tag: "garbage",
      summary: "Runs the collector now and answers when it is done; dryRun answers with the preview",
      answer: z.union([GarbageReport, GarbagePreview]),
      errors: [429],
    }),
    body(CollectRequest),
    async (context) => {
      const { dryRun, purge, resume } = context.req.valid("json");
      const { registry, connection, request } = context.env.exchange;
      const { collector, deletions } = registry;
      if (dryRun) return answer(GarbagePreview, await collector.preview());
      // A run over millions of blobs takes longer than a connection may be silent.
      connection.setIdleTimeout(0);
      if (resume) collector.resume();
      if (purge) await deletions.purgeAll();
      return answer(GarbageReport, await collector.run(request.signal));
    },
  );
  api.post(
    "/holds",
    describe({
      id: "hold",
      tag: "garbage",
      summary: "Keeps every object from being deleted for a while; the same id again renews it",
      answer: HoldAnswer,
    }),
    body(Hold),
    async (context) => {
      const { id, seconds } = context.req.valid("json");
      await context.env.exchange.registry.collector.hold(id, seconds * 1_000);
      return answer(HoldAnswer, { id, seconds });
    },
  );
  api.delete(
    "/holds/:id",
    describe({ id: "releaseHold", tag: "garbage", summary: "Ends a hold", answer: null }),
    params(z.object({ id: HoldId })),
    async (context) => {
      await context.env.exchange.registry.collector.release(context.req.valid("param").id);
      return new Response(null, { status: 204 });
    },
  );
}
