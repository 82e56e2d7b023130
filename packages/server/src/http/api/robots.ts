import { z } from "zod";
import { robotName } from "../../auth/account-names.ts";
import type { Account } from "../../auth/administration.ts";
import {
  AccountName,
  cut,
  Description,
  endOf,
  ExpiresAt,
  ExpiresIn,
  GrantList,
  GrantsBody,
  PageQuery,
  toGrants,
} from "./account-fields.ts";
import type { Api } from "./api-request.ts";
import { answer, answerPage, describe, isoTime, isoTimeOrNull } from "./describe.ts";
import { Next, Time } from "./fields.ts";
import { body, params, query } from "./validate.ts";

const Robot = z
  .object({
    name: z.string(),
    account: z.string().meta({ description: "as rules and records name it: `robot:<name>`" }),
    grants: GrantList.meta({ description: "what it may, besides what rules give it" }),
    isDisabled: z.boolean(),
    description: z.string(),
    createdAt: Time,
    createdBy: z.string().nullable(),
    expiresAt: Time.nullable(),
  })
  .meta({ id: "Robot" });

const RobotPage = z.object({ robots: z.array(Robot), next: Next });

const NewRobot = z.strictObject({
  name: AccountName,
  grants: GrantsBody.default([]),
  description: Description.default(""),
  expiresIn: ExpiresIn.optional(),
});

const RobotChanges = z.strictObject({
  grants: GrantsBody.exactOptional(),
  isDisabled: z.boolean().exactOptional(),
  description: Description.exactOptional(),
  expiresAt: ExpiresAt.exactOptional(),
});

export const OneRobot = z.object({ robot: AccountName });

const tag = "robots";

/** Accounts of programs: they sign in with tokens alone, which are in `tokens.ts`. */
export function addRobotRoutes(api: Api): void {
  api.get(
    "/robots",
    describe({ id: "listRobots", tag, summary: "Accounts of programs, by name", answer: RobotPage }),
    query(PageQuery),
    async (context) => {
      const { administration } = context.env.exchange;
      const { n, next: after = "" } = context.req.valid("query");
      const found = await administration.robots({ after, entriesMax: n + 1 });
      const { entries, next } = cut(found, n, ({ name }) => robotName(name));
      return answerPage(context, RobotPage, { robots: entries.map(toRobot), next });
    },
  );
  api.post(
    "/robots",
    describe({
      id: "createRobot",
      tag,
      summary: "Makes a robot, which cannot sign in until it has a token",
      answer: Robot,
      status: 201,
      errors: [409],
    }),
    body(NewRobot),
    async (context) => {
      const { administration, caller } = context.env.exchange;
      const { expiresIn, ...wanted } = context.req.valid("json");
      const expiresAt = endOf(administration.now(), expiresIn);
      const made = await administration.createRobot(caller, { ...wanted, expiresAt });
      context.env.exchange.note({ account: made.name });
      return answer(Robot, toRobot(made), 201);
    },
  );
  api.get(
    "/robots/:robot",
    describe({ id: "getRobot", tag, summary: "A robot", answer: Robot, errors: [404] }),
    params(OneRobot),
    async (context) => {
      const { administration } = context.env.exchange;
      return answer(Robot, toRobot(await administration.robot(context.req.valid("param").robot)));
    },
  );
  api.put(
    "/robots/:robot",
    describe({
      id: "updateRobot",
      tag,
      summary: "Changes what is named",
      answer: Robot,
      errors: [404],
    }),
    params(OneRobot),
    body(RobotChanges),
    async (context) => {
      const { administration } = context.env.exchange;
      const { robot } = context.req.valid("param");
      return answer(Robot, toRobot(await administration.updateRobot(robot, context.req.valid("json"))));
    },
  );
  api.delete(
    "/robots/:robot",
    describe({
      id: "deleteRobot",
      tag,
      summary: "Deletes a robot with its tokens",
      answer: null,
      errors: [404],
    }),
    params(OneRobot),
    async (context) => {
      await context.env.exchange.administration.removeRobot(context.req.valid("param").robot);
      return new Response(null, { status: 204 });
    },
  );
}

function toRobot(account: Account): z.output<typeof Robot> {
  const { name, grants, description, createdBy } = account;
  return {
    name: robotName(name),
    account: name,
    grants: toGrants(grants),
    isDisabled: account.disabledAt !== null,
    description,
    createdAt: isoTime(account.createdAt),
    createdBy,
    expiresAt: isoTimeOrNull(account.expiresAt),
  };
}
