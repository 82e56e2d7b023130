import { ApiError, type Call } from "../api-client.ts";
import { requirePlaces, UsageError } from "../arguments.ts";
import { EXIT } from "../exit-codes.ts";
import { printable } from "../table.ts";
import type { AdminCall, AdminNoun } from "./admin-command.ts";
import { readDocument } from "./json-document.ts";

/** How often a change is tried that somebody else's comes before. */
const TRIES_MAX = 5;

interface Rule {
  readonly who: readonly string[];
  readonly repositories: readonly string[];
  readonly may: readonly string[];
}

interface Access {
  readonly groups: Readonly<Record<string, readonly string[]>>;
  readonly rules: readonly Rule[];
}

export const ACCESS: AdminNoun = {
  help: "who may do what with which repositories",
  commands: {
    get: { places: "", help: "print the rules, a JSON document", run: get },
    set: { places: "FILE|-", help: "replace the rules by such a document", run: set },
    grant: { places: "WHO RIGHTS REPOSITORY...", help: "add a rule", run: grant },
    revoke: {
      places: "WHO [RIGHTS REPOSITORY...]",
      help: "take out of the rules what `grant` put there; of WHO alone everything",
      run: revoke,
    },
    check: {
      places: "WHO ACTION REPOSITORY",
      help: "say whether they may, and why; exit code 5 if not",
      run: check,
    },
  },
  examples: [
    "admin access grant user:alice push 'team/**'",
    "admin access grant anonymous pull '**'",
    "admin access grant group:ops maintainer 'infra/**' 'tools/*'",
    "admin access check user:alice push team/app",
    "admin access get > access.json && stowage admin access set access.json",
  ],
};

async function get({ call, args, print }: AdminCall): Promise<number> {
  requirePlaces(args, { wanted: [] });
  const access = await call("GET", "/access");
  print(access, () => `${JSON.stringify(access, null, 2)}\n`);
  return EXIT.ok;
}

async function set({ call, args, say }: AdminCall): Promise<number> {
  const [file = ""] = requirePlaces(args, { wanted: ["FILE"] });
  const access = (await call("PUT", "/access", await readDocument(file))) as Access;
  say(`set ${access.rules.length} rules and ${Object.keys(access.groups).length} groups`);
  return EXIT.ok;
}

async function grant({ call, args, say }: AdminCall): Promise<number> {
  const [who = "", rights = "", ...repositories] = requirePlaces(args, {
    wanted: ["WHO", "RIGHTS", "REPOSITORY"],
    rest: true,
  });
  const rule = { who: [who], repositories, may: rights.split(",") };
  await change(call, (access) => ({ ...access, rules: [...access.rules, rule] }));
  say(`${who} may ${rights} on ${repositories.join(", ")}`);
  return EXIT.ok;
}

async function revoke({ call, args, say }: AdminCall): Promise<number> {
  const [who = "", rights, ...repositories] = requirePlaces(args, { wanted: ["WHO"], rest: true });
  if (rights !== undefined && repositories.length === 0) throw new UsageError("REPOSITORY is missing");
  const may = rights?.split(",") ?? null;
  let taken = 0;
  await change(call, (access) => {
    const rules = access.rules.flatMap((rule) => without(rule, { who, may, repositories }) ?? [rule]);
    taken = access.rules.filter((rule) => without(rule, { who, may, repositories }) !== null).length;
    return taken === 0 ? null : { ...access, rules };
  });
  if (taken === 0) {
    const what = rights === undefined ? "anything" : `${rights} on ${repositories.join(", ")}`;
    throw new ApiError(`no rule gives ${who} ${what}; see \`stowage admin access get\``, 404);
  }
  say(`took it out of ${taken} ${taken === 1 ? "rule" : "rules"}`);
  return EXIT.ok;
}

/** The rules that are left of one; null: it does not give that. */
function without(
  rule: Rule,
  {
    who,
    may,
    repositories,
  }: {
    readonly who: string;
    readonly may: readonly string[] | null;
    readonly repositories: readonly string[];
  },
): readonly Rule[] | null {
  if (!rule.who.includes(who)) return null;
  const others = rule.who.filter((other) => other !== who);
  const rest = others.length === 0 ? [] : [{ ...rule, who: others }];
  if (may === null) return rest;
  const isSame = may.length === rule.may.length && may.every((right) => rule.may.includes(right));
  if (!isSame || !repositories.some((glob) => rule.repositories.includes(glob))) return null;
  const left = rule.repositories.filter((glob) => !repositories.includes(glob));
  return left.length === 0 ? rest : [...rest, { ...rule, who: [who], repositories: left }];
}

/** Changes the document as it is now; when somebody else has been quicker, once more. */
async function change(call: Call, edit: (access: Access) => Access | null): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    let mark = "";
    const seen = (headers: Headers) => {
      mark = headers.get("ETag") ?? "";
    };
    const edited = edit((await call("GET", "/access", undefined, { seen })) as Access);
    if (edited === null) return;
    try {
      await call("PUT", "/access", edited, { headers: { "If-Match": mark } });
      return;
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409) || attempt === TRIES_MAX) throw error;
    }
  }
}

async function check({ call, args, print }: AdminCall): Promise<number> {
  const [who = "", action = "", repository = ""] = requirePlaces(args, {
    wanted: ["WHO", "ACTION", "REPOSITORY"],
  });
  const query = new URLSearchParams({ who, action, repository });
  const answer = (await call("GET", `/access/check?${query}`)) as {
    readonly allowed: boolean;
    readonly why: string;
  };
  print(
    answer,
    () => `${answer.allowed ? "yes" : "no"}: ${printable(answer.why)}\n`,
    () => [answer.allowed ? "yes" : "no"],
  );
  return answer.allowed ? EXIT.ok : EXIT.denied;
}
