import { z } from "zod";
import type { Account } from "../../auth/administration.ts";
import {
  AccountName,
  cut,
  Description,
  ExpiresAt,
  OwnerName,
  PageQuery,
  Password,
} from "./account-fields.ts";
import type { Api } from "./api-request.ts";
import { answer, answerPage, describe, isoTime, isoTimeOrNull } from "./describe.ts";
import { Next, Time } from "./fields.ts";
import { body, params, query } from "./validate.ts";

const User = z
  .object({
    name: z.string(),
    kind: z.enum(["user", "person"]).meta({ description: "`person`: known by single sign-on" }),
    isAdmin: z.boolean(),
    isDisabled: z.boolean(),
    groups: z.array(z.string()).meta({ description: "that the identity provider named" }),
    description: z.string(),
    createdAt: Time,
    createdBy: z.string().nullable(),
    expiresAt: Time.nullable(),
  })
  .meta({ id: "User" });

const UserPage = z.object({ users: z.array(User), next: Next });

const MadePassword = z.object({
  password: z.string().nullable().meta({ description: "shown this once; null: it was given" }),
});

const MadeUser = User.extend(MadePassword.shape).meta({ id: "NewUser" });

const NewUser = z.strictObject({
  name: AccountName,
  password: Password.optional().meta({ description: "without it one is made, and answered" }),
  isAdmin: z.boolean().default(false),
  description: Description.default(""),
  expiresAt: ExpiresAt.default(null),
});

const UserChanges = z.strictObject({
  isAdmin: z.boolean().exactOptional(),
  isDisabled: z.boolean().exactOptional(),
  description: Description.exactOptional(),
  expiresAt: ExpiresAt.exactOptional(),
});

const OneUser = z.object({ user: OwnerName });

const tag = "users";

/** Accounts of people. Their tokens are in `tokens.ts`. */
export function addUserRoutes(api: Api): void {
  api.get(
    "/users",
    describe({ id: "listUsers", tag, summary: "Accounts of people, by name", answer: UserPage }),
    query(PageQuery),
    async (context) => {
      const { administration } = context.env.exchange;
      const { n, next: after = "" } = context.req.valid("query");
      const found = await administration.users({ after, entriesMax: n + 1 });
      const { entries, next } = cut(found, n, ({ name }) => name);
      return answerPage(context, UserPage, { users: entries.map(toUser), next });
    },
  );
  api.post(
    "/users",
    describe({
      id: "createUser",
      tag,
      summary: "Makes an account",
      answer: MadeUser,
      status: 201,
      errors: [409, 429],
    }),
    body(NewUser),
    async (context) => {
      const { administration, caller, note } = context.env.exchange;
      const { password = null, ...wanted } = context.req.valid("json");
      const made = await administration.createUser(caller, { ...wanted, password });
      note({ account: made.account.name });
      return answer(MadeUser, { ...toUser(made.account), password: made.password }, 201);
    },
  );
  api.get(
    "/users/:user",
    describe({ id: "getUser", tag, summary: "An account", answer: User, errors: [404] }),
    params(OneUser),
    async (context) => {
      const { administration } = context.env.exchange;
      return answer(User, toUser(await administration.user(context.req.valid("param").user)));
    },
  );
  api.put(
    "/users/:user",
    describe({
      id: "updateUser",
      tag,
      summary: "Changes what is named; the last administrator stays one",
      answer: User,
      errors: [404, 409],
    }),
    params(OneUser),
    body(UserChanges),
    async (context) => {
      const { administration, caller } = context.env.exchange;
      const { user } = context.req.valid("param");
      return answer(User, toUser(await administration.updateUser(caller, user, context.req.valid("json"))));
    },
  );
  api.delete(
    "/users/:user",
    describe({
      id: "deleteUser",
      tag,
      summary: "Deletes an account with its tokens; access rules that name it stay",
      answer: null,
      errors: [404, 409],
    }),
    params(OneUser),
    async (context) => {
      const { administration, caller } = context.env.exchange;
      await administration.removeUser(caller, context.req.valid("param").user);
      return new Response(null, { status: 204 });
    },
  );
  api.put(
    "/users/:user/password",
    describe({
      id: "setPassword",
      tag,
      summary: "Sets a password, or makes one; ends the account's sessions and `docker login`s",
      answer: MadePassword,
      errors: [404, 409, 429],
    }),
    params(OneUser),
    body(z.strictObject({ password: Password.optional() })),
    async (context) => {
      const { administration } = context.env.exchange;
      const { password = null } = context.req.valid("json");
      const made = await administration.setPassword(context.req.valid("param").user, password);
      return answer(MadePassword, { password: made });
    },
  );
}

function toUser(account: Account): z.output<typeof User> {
  const { name, kind, isAdmin, groups, description, createdBy } = account;
  return {
    name,
    kind: kind === "person" ? "person" : "user",
    isAdmin,
    isDisabled: account.disabledAt !== null,
    groups: [...groups],
    description,
    createdAt: isoTime(account.createdAt),
    createdBy,
    expiresAt: isoTimeOrNull(account.expiresAt),
  };
}
