import { RegistryError } from "@stowage/oci/errors";
import { z } from "zod";
import type { Exchange } from "../exchange.ts";
import {
  answerMade,
  cut,
  endOf,
  ExpiresIn,
  GrantsBody,
  Label,
  MadeTokenAnswer,
  PageQuery,
  Password,
  TokenId,
  TokenPage,
  toToken,
} from "./account-fields.ts";
import type { Api } from "./api-request.ts";
import { answerPage, describe } from "./describe.ts";
import { body, params, query } from "./validate.ts";

const PasswordChange = z.strictObject({ current: z.string(), new: Password });

const NewToken = z.strictObject({
  label: Label.min(1),
  expiresIn: ExpiresIn.optional(),
  limit: GrantsBody.optional().meta({ description: "at most this; without it what the account may" }),
});

const tag = "self";

/** What people do with their own account: only with their password, never with a token. */
export function addSelfRoutes(api: Api): void {
  api.put(
    "/self/password",
    describe({
      id: "changePassword",
      tag,
      summary: "Sets the own password; ends every session and `docker login`, this one included",
      answer: null,
      errors: [409, 429],
    }),
    body(PasswordChange),
    async (context) => {
      const { exchange } = context.env;
      const { current, new: wanted } = context.req.valid("json");
      const name = ownName(exchange);
      await requirePassword(exchange, name, current);
      await exchange.administration.setPassword(name, wanted);
      return new Response(null, { status: 204 });
    },
  );
  api.get(
    "/self/tokens",
    describe({
      id: "listOwnTokens",
      tag,
      summary: "The own access tokens, `docker login`s and sessions",
      answer: TokenPage,
    }),
    query(PageQuery),
    async (context) => {
      const { exchange } = context.env;
      const { n, next: after = "" } = context.req.valid("query");
      const found = await exchange.administration.tokens(ownName(exchange), { after, entriesMax: n + 1 });
      const { entries, next } = cut(found, n, ({ id }) => id);
      return answerPage(context, TokenPage, { tokens: entries.map(toToken), next });
    },
  );
  api.post(
    "/self/tokens",
    describe({
      id: "createOwnToken",
      tag,
      summary: "Makes an access token; its secret is told this once",
      answer: MadeTokenAnswer,
      status: 201,
      errors: [409],
    }),
    body(NewToken),
    async (context) => {
      const { exchange } = context.env;
      const { administration } = exchange;
      const { label, expiresIn, limit = null } = context.req.valid("json");
      const expiresAt = endOf(administration.now(), expiresIn);
      const wish = { label, limit, expiresAt };
      return answerMade(exchange, await administration.createPersonalToken(ownName(exchange), wish));
    },
  );
  api.delete(
    "/self/tokens/:id",
    describe({
      id: "revokeOwnToken",
      tag,
      summary: "Revokes an own token, or ends an own session",
      answer: null,
      errors: [404],
    }),
    params(z.object({ id: TokenId })),
    async (context) => {
      const { exchange } = context.env;
      await exchange.administration.revokeToken(ownName(exchange), context.req.valid("param").id);
      return new Response(null, { status: 204 });
    },
  );
}

/** Only who has signed in comes here. */
function ownName({ caller }: Exchange): string {
  if (caller.name === null) throw new RegistryError("DENIED");
  return caller.name;
}

/**
 * A session that somebody left open must not be enough to take the account over. Guesses are held back as at any
 * sign-in.
 */
async function requirePassword(exchange: Exchange, name: string, password: string): Promise<void> {
  const { auth, origin, request } = exchange;
  const caller = await auth?.authenticator
    .signIn({ name, password, address: origin.address, request })
    .catch((error: unknown) => {
      if (error instanceof RegistryError && error.code === "UNAUTHORIZED") return null;
      throw error;
    });
  // What begins like an access token is taken for one, and counts for whoever has it.
  if (caller?.credential.kind === "password" && caller.name === name) return;
  // Not 401: whoever asks is signed in.
  throw new RegistryError("DENIED", { message: "the current password is not right" });
}
