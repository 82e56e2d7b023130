import type { Exchange } from "../exchange.ts";
import { z } from "zod";
import { grantsUpTo } from "../../auth/access-document.ts";
import type { AccessToken, Grant, MadeToken } from "../../auth/administration.ts";
import { LABEL_LENGTH_MAX } from "../../auth/access-tokens.ts";
import { NAME_WANTED, parseAccountName, parseOwnerName } from "../../auth/account-names.ts";
import { answer, isoTime, isoTimeOrNull } from "./describe.ts";
import { EntriesMax, Next, Time } from "./fields.ts";
import { parsed } from "./validate.ts";

/** Longest description, in characters. */
const DESCRIPTION_LENGTH_MAX = 500;

/** Most grants of a robot or a token. */
const GRANTS_MAX = 20;

/** Globs of them that are neither a name nor `folder/**`: everybody may give their tokens some. */
const SLOW_GLOBS_MAX = 50;

/** Longest time that something is good for, in seconds: ten years. */
const SECONDS_MAX = 10 * 366 * 24 * 3_600;

export const AccountName = parsed(parseAccountName, NAME_WANTED);
export const OwnerName = parsed(parseOwnerName, "the name of an account");

export const Description = z
  .string()
  .max(DESCRIPTION_LENGTH_MAX)
  .regex(/^\P{Cc}*$/u, "wanted one line");

export const Label = z
  .string()
  .max(LABEL_LENGTH_MAX)
  .regex(/^[\x20-\x7e]*$/, "wanted printable characters of ASCII");

export const Password = z.string().meta({ format: "password", description: "at least 8 characters" });

export const ExpiresIn = z
  .number()
  .int()
  .min(1)
  .max(SECONDS_MAX)
  .meta({ description: "seconds; without it there is no end" });

export const ExpiresAt = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .nullable()
  .meta({ type: ["string", "null"], format: "date-time", description: "null: no end" });

export const GrantsBody = grantsUpTo(GRANTS_MAX, SLOW_GLOBS_MAX);

const GrantText = z.object({ repositories: z.array(z.string()), may: z.array(z.string()) });
export const GrantList = z.array(GrantText);

/** What a listing takes. */
export const PageQuery = z.object({ n: EntriesMax, next: z.string().max(300).optional() });

export const Token = z
  .object({
    id: z.string(),
    kind: z.enum(["personal", "refresh", "session"]).meta({
      description: "`refresh` is a `docker login`, `session` a browser",
    }),
    label: z.string(),
    limit: GrantList.nullable().meta({ description: "at most this; null: what the account may" }),
    createdAt: Time,
    expiresAt: Time.nullable(),
    usedAt: Time.nullable().meta({ description: "within a minute; null: never" }),
  })
  .meta({ id: "AccessToken", description: "Something to sign in with, without its secret." });

export const TokenPage = z.object({ tokens: z.array(Token), next: Next });

export const MadeTokenAnswer = Token.extend({
  secret: z.string().meta({ description: "shown this once" }),
}).meta({ id: "NewAccessToken" });

export const TokenId = z.string().regex(/^[A-Za-z0-9]{1,40}$/, "wanted the id of a token");

export function toGrants(grants: readonly Grant[]): z.output<typeof GrantList> {
  return grants.map(({ repositories, may }) => ({ repositories: [...repositories], may: [...may] }));
}

export function toToken(token: AccessToken): z.output<typeof Token> {
  const { id, kind, label, limit, createdAt, expiresAt, usedAt } = token;
  return {
    id,
    kind,
    label,
    limit: limit === null ? null : toGrants(limit),
    createdAt: isoTime(createdAt),
    expiresAt: isoTimeOrNull(expiresAt),
    usedAt: isoTimeOrNull(usedAt),
  };
}

/** 201 with the secret, which nobody will see again. */
export function answerMade({ note }: Pick<Exchange, "note">, { token, secret }: MadeToken): Response {
  note({ account: token.account, token: token.id });
  return answer(MadeTokenAnswer, { ...toToken(token), secret }, 201);
}

/** One entry more than the page holds was asked for: whether there is one says whether a next page exists. */
export function cut<T>(
  found: readonly T[],
  entriesMax: number,
  keyOf: (entry: T) => string,
): { readonly entries: readonly T[]; readonly next: string | null } {
  const entries = found.slice(0, entriesMax);
  const last = entries.at(-1);
  return { entries, next: found.length > entries.length && last !== undefined ? keyOf(last) : null };
}

/** Milliseconds since 1970 at which something ends that is good for so many seconds; null: never. */
export function endOf(now: number, seconds: number | undefined): number | null {
  return seconds === undefined ? null : now + seconds * 1_000;
}
