import { z } from "zod";
import type { ScrubFinding } from "../../registry/scrub.ts";
import type { Api } from "./api-request.ts";
import { answer, answerPage, describe, isoTime, isoTimeOrNull } from "./describe.ts";
import { Bytes, Count, Digest, EntriesMax, IdParam, Next, Time } from "./fields.ts";
import { body, query } from "./validate.ts";

const ScrubStatus = z
  .object({
    running: z.boolean(),
    blobs: Count.meta({ description: "blobs that were read" }),
    bytes: Bytes,
    findings: Count.meta({ description: "blobs whose bytes are wrong" }),
    endedEarly: z.boolean().meta({ description: "it was stopped or could not go on: not all was read" }),
  })
  .meta({ id: "ScrubStatus", description: "The run under way, or the last one since the start." });

const Finding = z
  .object({
    id: Count,
    digest: Digest,
    problem: z.enum(["missing", "size", "digest", "unreadable"]),
    foundAt: Time,
    repairedAt: Time.nullable().meta({ description: "when a push brought the bytes back" }),
  })
  .meta({ id: "ScrubFinding", description: "A blob that is not served because its bytes are wrong." });

const FindingPage = z.object({ findings: z.array(Finding), next: Next });

const ScrubRequest = z.strictObject({
  all: z.boolean().default(false).meta({ description: "every blob, not only those whose time has come" }),
});

const tag = "scrub";

export function addScrubRoutes(api: Api): void {
  api.get(
    "/scrub",
    describe({ id: "getScrub", tag, summary: "How far reading blobs again has come", answer: ScrubStatus }),
    async (context) => answer(ScrubStatus, context.env.exchange.registry.scrubber.status()),
  );
  api.post(
    "/scrub",
    describe({
      id: "startScrub",
      tag,
      summary: "Begins to read blobs again, in the background, unless that is under way",
      answer: ScrubStatus,
    }),
    body(ScrubRequest),
    async (context) => {
      const { registry, reportFailure } = context.env.exchange;
      return answer(ScrubStatus, registry.scrubber.start(context.req.valid("json"), reportFailure));
    },
  );
  api.get(
    "/scrub/findings",
    describe({ id: "listScrubFindings", tag, summary: "What was found, newest first", answer: FindingPage }),
    query(z.object({ before: IdParam.optional(), n: EntriesMax })),
    async (context) => {
      const { before = null, n } = context.req.valid("query");
      const found = await context.env.exchange.registry.scrubber.findings(before, n + 1);
      const findings = found.slice(0, n).map(toFinding);
      const last = found.length > findings.length ? findings.at(-1) : undefined;
      const next = last === undefined ? null : String(last.id);
      return answerPage(context, FindingPage, { findings, next }, { parameter: "before" });
    },
  );
}

function toFinding({ id, digest, problem, foundAt, repairedAt }: ScrubFinding): z.output<typeof Finding> {
  return { id, digest, problem, foundAt: isoTime(foundAt), repairedAt: isoTimeOrNull(repairedAt) };
}
