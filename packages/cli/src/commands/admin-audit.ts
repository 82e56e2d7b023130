import { DURATION_WANTED, parseDuration } from "@stowage/server/config/duration";
import { requirePlaces, UsageError } from "../arguments.ts";
import { EXIT } from "../exit-codes.ts";
import { formatTable } from "../table.ts";
import { type AdminCall, type AdminNoun, type Entry, textOf } from "./admin-command.ts";

/** Entries that are printed unless said, and the most that one may ask for. */
const ENTRIES = 100;
const ENTRIES_MAX = 100_000;

const PAGE_MAX = 1_000;

export const AUDIT: AdminNoun = {
  help: "who did what",
  commands: {
    list: {
      places: "",
      help: "print what was done, newest first",
      options: {
        caller: { value: "ACCOUNT", help: "by them" },
        repository: { value: "NAME", help: "with it" },
        action: { value: "ACTION", help: "e.g. manifest.push or login.failed" },
        since: { value: "TIME", help: "since then: 24h, 7d or 2026-01-31T00:00:00Z" },
        limit: { value: "N", help: `at most so many entries (default ${ENTRIES})` },
      },
      run: list,
    },
  },
  examples: ["admin audit list --caller alice --since 24h", "admin audit list --action login.failed"],
};

async function list({ call, args, print }: AdminCall): Promise<number> {
  requirePlaces(args, { wanted: [] });
  const limit = Number(args.get("limit") ?? ENTRIES);
  if (!Number.isInteger(limit) || limit < 1 || limit > ENTRIES_MAX) {
    throw new UsageError(`--limit is "${args.get("limit")}"; wanted 1 to ${ENTRIES_MAX}`);
  }
  const query = new URLSearchParams();
  for (const option of ["caller", "repository", "action"]) {
    const value = args.get(option);
    if (value !== null) query.set(option, value);
  }
  const since = args.get("since");
  if (since !== null) query.set("since", instantOf(since));
  const entries = await readEntries({ call }, query, limit);
  const members = ["at", "caller", "action", "repository", "reference", "status", "address"];
  const rows = entries.map((entry) => [...members.map((member) => textOf(entry, member)), detailOf(entry)]);
  const head = ["TIME", "CALLER", "ACTION", "REPOSITORY", "REFERENCE", "STATUS", "ADDRESS", "DETAIL"];
  print(
    entries,
    () => formatTable(head, rows),
    () => entries.map((entry) => textOf(entry, "id")),
  );
  return EXIT.ok;
}

/** `account=robot:ci token=5r6lrJqnpIVX`; how often, if more than once. */
function detailOf({ detail, count }: Entry): string {
  const members = typeof detail === "object" && detail !== null ? Object.entries(detail) : [];
  const times = typeof count === "number" && count > 1 ? [["times", count]] : [];
  return [...members, ...times].map(([name, value]) => `${name}=${value}`).join(" ");
}

async function readEntries(
  { call }: Pick<AdminCall, "call">,
  query: URLSearchParams,
  limit: number,
): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  while (entries.length < limit) {
    query.set("n", String(Math.min(PAGE_MAX, limit - entries.length)));
    const page = (await call("GET", `/audit?${query}`)) as {
      readonly entries: readonly Entry[];
      readonly next: string | null;
    };
    entries.push(...page.entries);
    if (page.next === null) break;
    query.set("before", page.next);
  }
  return entries;
}

function instantOf(text: string): string {
  const ms = parseDuration(text);
  const at = ms === null ? Date.parse(text) : Date.now() - ms;
  if (Number.isNaN(at)) throw new UsageError(`--since is "${text}"; wanted ${DURATION_WANTED}, or a date`);
  return new Date(at).toISOString();
}
