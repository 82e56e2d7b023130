import { z } from "zod";
import type { Exchange } from "../exchange.ts";
import {
  answerMade,
  cut,
  endOf,
  ExpiresIn,
  Label,
  MadeTokenAnswer,
  OwnerName,
  PageQuery,
  TokenId,
  TokenPage,
  toToken,
} from "./account-fields.ts";
import type { Api } from "./api-request.ts";
import { answerPage, describe } from "./describe.ts";
import { OneRobot } from "./robots.ts";
import { body, params, query } from "./validate.ts";

/** Longest time for which an old token and its successor are both good, in seconds: 30 days. */
const OVERLAP_SECONDS_MAX = 30 * 24 * 3_600;

const NewRobotToken = z.strictObject({ label: Label.default(""), expiresIn: ExpiresIn.optional() });

const Rotation = NewRobotToken.extend({
  overlap: z
    .number()
    .int()
    .min(0)
    .max(OVERLAP_SECONDS_MAX)
    .default(0)
    .meta({ description: "seconds for which the tokens of before stay good" }),
});

const OneUser = z.object({ user: OwnerName });

/** What robots sign in with, and what administrators see of other people's tokens. */
export function addTokenRoutes(api: Api): void {
  addUserTokenRoutes(api, "users");
  addRobotTokenRoutes(api, "robots");
}

/** Nobody makes secrets for somebody else: there is no POST. */
function addUserTokenRoutes(api: Api, tag: string): void {
  api.get(
    "/users/:user/tokens",
    describe({
      id: "listUserTokens",
      tag,
      summary: "Access tokens, `docker login`s and sessions of an account, also one of the htpasswd file",
      answer: TokenPage,
      errors: [404],
    }),
    params(OneUser),
    query(PageQuery),
    async (context) => {
      const { user } = context.req.valid("param");
      await context.env.exchange.administration.requireOwner(user);
      const { tokens, next } = await pageOf(context.env.exchange, user, context.req.valid("query"));
      return answerPage(context, TokenPage, { tokens, next });
    },
  );
  api.delete(
    "/users/:user/tokens/:id",
    describe({
      id: "revokeUserToken",
      tag,
      summary: "Revokes a token, or ends a session",
      answer: null,
      errors: [404],
    }),
    params(OneUser.extend({ id: TokenId })),
    async (context) => {
      const { user, id } = context.req.valid("param");
      await context.env.exchange.administration.revokeToken(user, id);
      return new Response(null, { status: 204 });
    },
  );
}

function addRobotTokenRoutes(api: Api, tag: string): void {
  api.get(
    "/robots/:robot/tokens",
    describe({
      id: "listRobotTokens",
      tag,
      summary: "Tokens of a robot",
      answer: TokenPage,
      errors: [404],
    }),
    params(OneRobot),
    query(PageQuery),
    async (context) => {
      const { administration } = context.env.exchange;
      const { name } = await administration.robot(context.req.valid("param").robot);
      const { tokens, next } = await pageOf(context.env.exchange, name, context.req.valid("query"));
      return answerPage(context, TokenPage, { tokens, next });
    },
  );
  api.post(
    "/robots/:robot/tokens",
    describe({
      id: "createRobotToken",
      tag,
      summary: "Makes a token; its secret is told this once",
      answer: MadeTokenAnswer,
      status: 201,
      errors: [404, 409],
    }),
    params(OneRobot),
    body(NewRobotToken),
    async (context) => {
      const { administration } = context.env.exchange;
      const { label, expiresIn } = context.req.valid("json");
      const expiresAt = endOf(administration.now(), expiresIn);
      const { robot } = context.req.valid("param");
      return answerMade(
        context.env.exchange,
        await administration.createRobotToken(robot, { label, expiresAt }),
      );
    },
  );
  api.post(
    "/robots/:robot/rotate",
    describe({
      id: "rotateRobotToken",
      tag,
      summary: "Makes a token in place of all others, which end at once or after an overlap",
      answer: MadeTokenAnswer,
      status: 201,
      errors: [404, 409],
    }),
    params(OneRobot),
    body(Rotation),
    async (context) => {
      const { administration } = context.env.exchange;
      const { label, expiresIn, overlap } = context.req.valid("json");
      const expiresAt = endOf(administration.now(), expiresIn);
      const wish = { label, expiresAt, overlapMs: overlap * 1_000 };
      return answerMade(
        context.env.exchange,
        await administration.rotateRobotToken(context.req.valid("param").robot, wish),
      );
    },
  );
  api.delete(
    "/robots/:robot/tokens/:id",
    describe({ id: "revokeRobotToken", tag, summary: "Revokes a token", answer: null, errors: [404] }),
    params(OneRobot.extend({ id: TokenId })),
    async (context) => {
      const { administration } = context.env.exchange;
      const { robot, id } = context.req.valid("param");
      await administration.revokeToken((await administration.robot(robot)).name, id);
      return new Response(null, { status: 204 });
    },
  );
}

async function pageOf(
  { administration }: Exchange,
  account: string,
  { n, next: after = "" }: z.output<typeof PageQuery>,
): Promise<z.output<typeof TokenPage>> {
  const { entries, next } = cut(
    await administration.tokens(account, { after, entriesMax: n + 1 }),
    n,
    ({ id }) => id,
  );
  return { tokens: entries.map(toToken), next };
}
