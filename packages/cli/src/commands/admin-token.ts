import { type Arguments, requirePlaces, UsageError } from "../arguments.ts";
import { EXIT } from "../exit-codes.ts";
import { formatTable } from "../table.ts";
import {
  type AdminCall,
  type AdminNoun,
  type Entry,
  formatGrants,
  listAll,
  segment,
  textOf,
} from "./admin-command.ts";
import { ALLOW, EXPIRES, grantsOf, secondsOf } from "./admin-values.ts";

const ACCOUNT = {
  account: {
    value: "ACCOUNT",
    help: "of that account, e.g. alice or robot:ci (default: one's own, with --server)",
  },
} as const;

export const TOKEN: AdminNoun = {
  help: "what accounts sign in with besides passwords",
  commands: {
    list: {
      places: "",
      help: "print access tokens, docker logins and sessions",
      options: ACCOUNT,
      run: list,
    },
    create: {
      places: "LABEL",
      help: "make an access token, and print it",
      options: {
        ...ACCOUNT,
        allow: { ...ALLOW, help: `no more than that; ${ALLOW.help}` },
        expires: EXPIRES,
      },
      run: create,
    },
    revoke: { places: "ID", help: "end one", options: ACCOUNT, run: revoke },
  },
  examples: [
    "admin token list --account alice",
    {
      line: "admin token create laptop --server https://registry.example.com --expires 90d",
      untested: "it needs that registry, and a password",
    },
    {
      line: "admin token revoke 3nFJx0bA91Zc --account robot:ci",
      untested: "the id is one that `admin token list` prints",
    },
  ],
};

/** Where the tokens are. */
function pathOf(args: Arguments): string {
  const account = args.get("account");
  if (account === null && args.get("server") === null) {
    throw new UsageError("--account is missing; one's own tokens need --server, with one's own password");
  }
  if (account === null) return "/self";
  const robot = /^robot:(.+)$/.exec(account)?.[1];
  return robot === undefined ? `/users/${segment(account)}` : `/robots/${segment(robot)}`;
}

async function list({ call, args, print }: AdminCall): Promise<number> {
  requirePlaces(args, { wanted: [] });
  const tokens = await listAll(call, `${pathOf(args)}/tokens`, "tokens");
  const rows = tokens.map((token) => [
    textOf(token, "id"),
    textOf(token, "kind"),
    textOf(token, "label"),
    textOf(token, "createdAt"),
    textOf(token, "expiresAt"),
    textOf(token, "usedAt"),
    formatGrants(token, "limit"),
  ]);
  const head = ["ID", "KIND", "LABEL", "CREATED", "EXPIRES", "LAST USED", "LIMIT"];
  print(
    tokens,
    () => formatTable(head, rows),
    () => tokens.map((token) => textOf(token, "id")),
  );
  return EXIT.ok;
}

async function create({ call, args, say, printSecret }: AdminCall): Promise<number> {
  const [label = ""] = requirePlaces(args, { wanted: ["LABEL"] });
  const path = pathOf(args);
  if (path.startsWith("/users/")) {
    throw new UsageError("nobody makes a token for somebody else; they do it themselves, with --server");
  }
  const limit = grantsOf(args);
  if (limit.length > 0 && path !== "/self") {
    throw new UsageError("--allow is for one's own tokens; a robot has `robot grant`");
  }
  const expiresIn = secondsOf(args, "expires");
  const wish = {
    label,
    ...(limit.length === 0 ? {} : { limit }),
    ...(expiresIn === null ? {} : { expiresIn }),
  };
  const token = (await call("POST", `${path}/tokens`, wish)) as Entry;
  say(`made the token ${textOf(token, "id")}, shown once:`);
  printSecret(token, textOf(token, "secret"));
  return EXIT.ok;
}

async function revoke({ call, args, say }: AdminCall): Promise<number> {
  const [id = ""] = requirePlaces(args, { wanted: ["ID"] });
  await call("DELETE", `${pathOf(args)}/tokens/${segment(id)}`);
  say(`revoked ${id}`);
  return EXIT.ok;
}
