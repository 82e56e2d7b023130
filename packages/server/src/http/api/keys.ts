import { z } from "zod";
import type { Exchange } from "../exchange.ts";
import type { Api } from "./api-request.ts";
import { answer, describe, isoTime } from "./describe.ts";
import { Time } from "./fields.ts";
import { body } from "./validate.ts";

const Keys = z.object({
  keys: z
    .array(
      z
        .object({ kid: z.string(), createdAt: Time, signsUntil: Time, verifiesUntil: Time })
        .meta({ id: "SigningKey", description: "A key of registry tokens, without its private part." }),
    )
    .meta({ description: "newest first; the first one signs" }),
});

const Rotation = z.strictObject({
  revokeAll: z
    .boolean()
    .default(false)
    .meta({ description: "refuse every registry token that was signed so far" }),
});

const tag = "keys";

/** The keys that sign registry tokens. They rotate by themselves. */
export function addKeyRoutes(api: Api): void {
  api.get(
    "/keys",
    describe({ id: "listKeys", tag, summary: "Keys whose registry tokens are accepted", answer: Keys }),
    async (context) => await answerKeys(context.env.exchange),
  );
  api.post(
    "/keys/rotate",
    describe({ id: "rotateKeys", tag, summary: "Signs with a new key from now on", answer: Keys }),
    body(Rotation),
    async (context) => {
      const { administration } = context.env.exchange;
      await administration.directory.keys.rotate({ revoking: context.req.valid("json").revokeAll });
      return await answerKeys(context.env.exchange);
    },
  );
}

async function answerKeys({ administration }: Exchange): Promise<Response> {
  const keys = await administration.directory.keys.list();
  return answer(Keys, {
    keys: keys.map(({ kid, createdAt, signsUntil, verifiesUntil }) => ({
      kid,
      createdAt: isoTime(createdAt),
      signsUntil: isoTime(signsUntil),
      verifiesUntil: isoTime(verifiesUntil),
    })),
  });
}
