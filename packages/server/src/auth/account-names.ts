import { EVERYBODY, OWNER, SIGNED_IN } from "./caller.ts";

/** Longest name of a user or a robot, in characters. */
const NAME_LENGTH_MAX = 128;

/** Prefix of a robot's account. */
const ROBOT = "robot:";

/** Basic authentication cannot carry a colon (RFC 7617), and no name is to be taken for an option or a hidden file. */
const NAME = /^[A-Za-z0-9_@+][A-Za-z0-9._@+-]*$/;

/** Names that mean somebody else in rules and records. */
const RESERVED: ReadonlySet<string> = new Set([EVERYBODY, SIGNED_IN, OWNER.name ?? ""]);

export const NAME_WANTED = `at most ${NAME_LENGTH_MAX} of letters, digits and . _ @ + -, beginning with none of . and -, and not one of ${[...RESERVED].join(", ")}`;

/** A name that a user or, behind `robot:`, a robot may have; null: none. */
export function parseAccountName(text: string): string | null {
  if (text.length > NAME_LENGTH_MAX || !NAME.test(text)) return null;
  return RESERVED.has(text.toLowerCase()) ? null : text;
}

/** The account of the robot with that name. */
export function robotAccount(name: string): string {
  return `${ROBOT}${name}`;
}

/** The robot's name without the kind. */
export function robotName(account: string): string {
  return account.slice(ROBOT.length);
}

/** Longest name of a person that an identity provider gave, in characters. */
const PERSON_LENGTH_MAX = 255;

/** A name under which somebody who has a password or a single sign-on is kept; null: none. */
export function parseOwnerName(text: string): string | null {
  const isPerson = text.startsWith("oidc:") && text.length <= PERSON_LENGTH_MAX && !/[\s\p{Cc}]/u.test(text);
  // The htpasswd file knows more names than may be made here.
  const isUser = text.length <= PERSON_LENGTH_MAX && /^[^:\p{Cc}]+$/u.test(text);
  return isPerson || isUser ? text : null;
}
