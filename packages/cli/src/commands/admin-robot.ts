import { requirePlaces, UsageError } from "../arguments.ts";
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
import { ALLOW, DESCRIPTION, EXPIRES, grantsOf, secondsOf } from "./admin-values.ts";

export const ROBOT: AdminNoun = {
  help: "accounts of programs, which sign in with tokens",
  commands: {
    list: { places: "", help: "print all of them", run: list },
    create: {
      places: "NAME",
      help: "make a robot with a token, and print the token",
      options: { allow: ALLOW, description: DESCRIPTION, expires: EXPIRES },
      run: create,
    },
    show: { places: "NAME", help: "print one with its tokens", run: show },
    grant: {
      places: "NAME",
      help: "give it more rights",
      options: { allow: ALLOW, replace: { value: null, help: "instead of those that it has" } },
      run: grant,
    },
    rotate: {
      places: "NAME",
      help: "make a token in place of all others, and print it",
      options: {
        overlap: { value: "TIME", help: "the others are good for so long (default: not at all)" },
        expires: EXPIRES,
        label: { value: "TEXT", help: "what the token is called" },
      },
      run: rotate,
    },
    delete: { places: "NAME", help: "delete it with its tokens", run: remove },
  },
  examples: [
    "admin robot create ci --allow push:team/** --allow pull:lib/**",
    "admin robot create deploy --allow pull:** --expires 90d -q",
    "admin robot rotate ci --overlap 1h",
  ],
};

async function list({ call, args, print }: AdminCall): Promise<number> {
  requirePlaces(args, { wanted: [] });
  const robots = await listAll(call, "/robots", "robots");
  const rows = robots.map((robot) => [
    textOf(robot, "name"),
    robot.isDisabled === true ? "disabled" : "enabled",
    textOf(robot, "expiresAt"),
    formatGrants(robot, "grants"),
    textOf(robot, "description"),
  ]);
  const head = ["NAME", "STATE", "EXPIRES", "GRANTS", "DESCRIPTION"];
  print(
    robots,
    () => formatTable(head, rows),
    () => robots.map((robot) => textOf(robot, "name")),
  );
  return EXIT.ok;
}

async function create({ call, args, say, printSecret }: AdminCall): Promise<number> {
  const [name = ""] = requirePlaces(args, { wanted: ["NAME"] });
  const grants = grantsOf(args);
  const expiresIn = secondsOf(args, "expires");
  const description = args.get("description") ?? "";
  const ends = expiresIn === null ? {} : { expiresIn };
  const robot = (await call("POST", "/robots", { name, grants, description, ...ends })) as Entry;
  const token = (await call("POST", `/robots/${segment(name)}/tokens`, { label: "first" })) as Entry;
  say(`made the robot "${name}", which may ${formatGrants(robot, "grants") || "nothing yet"}`);
  say(`it signs in with any name and this token, which is shown once:`);
  printSecret({ robot, token }, textOf(token, "secret"));
  return EXIT.ok;
}

async function show({ call, args, print }: AdminCall): Promise<number> {
  const [name = ""] = requirePlaces(args, { wanted: ["NAME"] });
  const robot = (await call("GET", `/robots/${segment(name)}`)) as Entry;
  const tokens = await listAll(call, `/robots/${segment(name)}/tokens`, "tokens");
  const lines = Object.keys(robot).map(
    (member) => `${member}: ${member === "grants" ? formatGrants(robot, member) : textOf(robot, member)}\n`,
  );
  const ids = tokens.map(
    (token) =>
      `token: ${textOf(token, "id")} ${textOf(token, "label")}, last used ${textOf(token, "usedAt")}\n`,
  );
  print(
    { ...robot, tokens },
    () => [...lines, ...ids].join(""),
    () => [name],
  );
  return EXIT.ok;
}

async function grant({ call, args, print, say }: AdminCall): Promise<number> {
  const [name = ""] = requirePlaces(args, { wanted: ["NAME"] });
  const more = grantsOf(args);
  if (more.length === 0) throw new UsageError("--allow is missing");
  const path = `/robots/${segment(name)}`;
  const before = (await call("GET", path)) as { readonly grants: readonly unknown[] };
  const grants = args.has("replace") ? more : [...before.grants, ...more];
  const robot = (await call("PUT", path, { grants })) as Entry;
  say(`the robot "${name}" may ${formatGrants(robot, "grants")}`);
  print(
    robot,
    () => "",
    () => [],
  );
  return EXIT.ok;
}

async function rotate({ call, args, say, printSecret }: AdminCall): Promise<number> {
  const [name = ""] = requirePlaces(args, { wanted: ["NAME"] });
  const overlap = secondsOf(args, "overlap") ?? 0;
  const expiresIn = secondsOf(args, "expires");
  const label = args.get("label") ?? "";
  const ends = expiresIn === null ? {} : { expiresIn };
  const token = (await call("POST", `/robots/${segment(name)}/rotate`, { overlap, label, ...ends })) as Entry;
  say(
    `the tokens of before ${overlap === 0 ? "have ended" : `end in ${overlap} s`}; the new one, shown once:`,
  );
  printSecret(token, textOf(token, "secret"));
  return EXIT.ok;
}

async function remove({ call, args, say }: AdminCall): Promise<number> {
  const [name = ""] = requirePlaces(args, { wanted: ["NAME"] });
  await call("DELETE", `/robots/${segment(name)}`);
  say(`deleted the robot "${name}" with its tokens`);
  return EXIT.ok;
}
