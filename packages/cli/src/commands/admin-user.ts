import { requirePlaces, UsageError } from "../arguments.ts";
import { EXIT } from "../exit-codes.ts";
import { askForSecret, readSecretFromInput } from "../secret-input.ts";
import { formatTable } from "../table.ts";
import { type AdminCall, type AdminNoun, type Entry, listAll, segment, textOf } from "./admin-command.ts";
import { DESCRIPTION, EXPIRES, secondsOf } from "./admin-values.ts";

const PASSWORD = {
  "password-stdin": { value: null, help: "read the password from standard input" },
  generate: { value: null, help: "make a password and print it, without asking" },
} as const;

export const USER: AdminNoun = {
  help: "accounts of people",
  commands: {
    list: { places: "", help: "print all of them", run: list },
    create: {
      places: "NAME",
      help: "make an account; without a terminal to ask on, a password is made and printed",
      options: {
        admin: { value: null, help: "may do everything" },
        description: DESCRIPTION,
        expires: EXPIRES,
        ...PASSWORD,
      },
      run: create,
    },
    show: { places: "NAME", help: "print one", run: show },
    "set-password": {
      places: "NAME",
      help: "set a password, or make one",
      options: PASSWORD,
      run: setPassword,
    },
    enable: { places: "NAME", help: "let it sign in again", run: changeTo({ isDisabled: false }) },
    disable: {
      places: "NAME",
      help: "end its sign-ins, and let it sign in no more",
      run: changeTo({ isDisabled: true }),
    },
    promote: { places: "NAME", help: "make it an administrator", run: changeTo({ isAdmin: true }) },
    demote: { places: "NAME", help: "make it no administrator", run: changeTo({ isAdmin: false }) },
    delete: { places: "NAME", help: "delete it with its tokens", run: remove },
  },
  examples: [
    "admin user create alice",
    "admin user create alice --password-stdin < password.txt",
    "admin user set-password admin",
  ],
};

async function list({ call, args, print }: AdminCall): Promise<number> {
  requirePlaces(args, { wanted: [] });
  const users = await listAll(call, "/users", "users");
  print(
    users,
    () => tableOf(users),
    () => users.map((user) => textOf(user, "name")),
  );
  return EXIT.ok;
}

function tableOf(users: readonly Entry[]): string {
  const rows = users.map((user) => [
    textOf(user, "name"),
    user.isAdmin === true ? "admin" : "user",
    user.isDisabled === true ? "disabled" : "enabled",
    textOf(user, "expiresAt"),
    textOf(user, "description"),
  ]);
  return formatTable(["NAME", "ROLE", "STATE", "EXPIRES", "DESCRIPTION"], rows);
}

async function create(admin: AdminCall): Promise<number> {
  const { call, args, say } = admin;
  const [name = ""] = requirePlaces(args, { wanted: ["NAME"] });
  const seconds = secondsOf(args, "expires");
  const password = await readPassword(admin, name);
  const made = (await call("POST", "/users", {
    name,
    isAdmin: args.has("admin"),
    description: args.get("description") ?? "",
    ...(seconds === null ? {} : { expiresAt: new Date(Date.now() + seconds * 1_000).toISOString() }),
    ...password,
  })) as Entry;
  say(`made the account "${name}"`);
  return printPassword(admin, made);
}

async function show({ call, args, print }: AdminCall): Promise<number> {
  const [name = ""] = requirePlaces(args, { wanted: ["NAME"] });
  const user = (await call("GET", `/users/${segment(name)}`)) as Entry;
  print(
    user,
    () =>
      Object.keys(user)
        .map((member) => `${member}: ${textOf(user, member)}\n`)
        .join(""),
    () => [name],
  );
  return EXIT.ok;
}

async function setPassword(admin: AdminCall): Promise<number> {
  const { call, args, say } = admin;
  const [name = ""] = requirePlaces(args, { wanted: ["NAME"] });
  const password = await readPassword(admin, name);
  const made = (await call("PUT", `/users/${segment(name)}/password`, password)) as Entry;
  say(`set the password of "${name}"; its sessions and docker logins have ended`);
  return printPassword(admin, made);
}

function changeTo(changes: Readonly<Record<string, boolean>>) {
  return async ({ call, args, print, say }: AdminCall): Promise<number> => {
    const [name = ""] = requirePlaces(args, { wanted: ["NAME"] });
    const user = (await call("PUT", `/users/${segment(name)}`, changes)) as Entry;
    say(
      `"${name}" is ${user.isAdmin === true ? "an administrator" : "a user"}, ${user.isDisabled === true ? "disabled" : "enabled"}`,
    );
    print(
      user,
      () => "",
      () => [],
    );
    return EXIT.ok;
  };
}

async function remove({ call, args, say }: AdminCall): Promise<number> {
  const [name = ""] = requirePlaces(args, { wanted: ["NAME"] });
  await call("DELETE", `/users/${segment(name)}`);
  say(
    `deleted "${name}"; access rules that name user:${name} stay: \`stowage admin access revoke user:${name}\``,
  );
  return EXIT.ok;
}

/** Never an argument: every process of the machine can read those. Nothing: the registry makes one. */
async function readPassword(
  { args, isInteractive }: AdminCall,
  name: string,
): Promise<{ readonly password?: string }> {
  if (args.has("password-stdin") && args.has("generate")) {
    throw new UsageError("--password-stdin and --generate exclude each other");
  }
  if (args.has("password-stdin")) return { password: await readSecretFromInput() };
  if (args.has("generate") || !isInteractive) return {};
  const typed = await askForSecret(`password of ${name} (nothing: one is made): `);
  return typed === "" ? {} : { password: typed };
}

function printPassword({ print, printSecret }: AdminCall, made: Entry): number {
  if (typeof made.password === "string") printSecret(made, made.password);
  else
    print(
      made,
      () => "",
      () => [],
    );
  return EXIT.ok;
}
