import { formatBytes } from "@stowage/server/maintenance/data-folder";
import { ApiError, type Call } from "../api-client.ts";
import { requirePlaces, UsageError } from "../arguments.ts";
import { EXIT } from "../exit-codes.ts";
import { formatTable } from "../table.ts";
import { type AdminCall, type AdminNoun, type Entry, listAll, segment, textOf } from "./admin-command.ts";
import { limitOf } from "./admin-values.ts";

const LIMITS = ["bytes", "repositories", "tags"] as const;

export const QUOTA: AdminNoun = {
  help: "what namespaces may hold; `-` is the whole registry",
  commands: {
    list: { places: "", help: "print all of them with what is in use", run: list },
    set: {
      places: "NAMESPACE",
      help: "set what it may hold; limits that are not named stay",
      options: {
        bytes: { value: "SIZE", help: "e.g. 10GiB, or none" },
        repositories: { value: "N", help: "a number, or none" },
        tags: { value: "N", help: "a number, or none" },
      },
      run: set,
    },
    remove: { places: "NAMESPACE", help: "lift it", run: remove },
  },
  examples: ["admin quota set team --bytes 10GiB --repositories 50", "admin quota list"],
};

async function list({ call, args, print }: AdminCall): Promise<number> {
  requirePlaces(args, { wanted: [] });
  const quotas = await listAll(call, "/quotas", "quotas");
  const head = ["NAMESPACE", "BYTES", "REPOSITORIES", "TAGS"];
  const rows = quotas.map((quota) => [
    textOf(quota, "namespace"),
    ...LIMITS.map((limit) => describeUse(quota, limit)),
  ]);
  print(
    quotas,
    () => formatTable(head, rows),
    () => quotas.map((quota) => textOf(quota, "namespace")),
  );
  return EXIT.ok;
}

function describeUse(quota: Entry, limit: (typeof LIMITS)[number]): string {
  const { used } = quota as { readonly used: Readonly<Record<string, number>> };
  const format = (value: unknown) => {
    if (typeof value !== "number") return "no limit";
    return limit === "bytes" ? formatBytes(value) : String(value);
  };
  return `${format(used[limit] ?? 0)} of ${format(quota[limit])}`;
}

async function set({ call, args, print, say }: AdminCall): Promise<number> {
  const [namespace = ""] = requirePlaces(args, { wanted: ["NAMESPACE"] });
  const wanted = LIMITS.flatMap((limit) => {
    const value = limitOf(args, limit);
    return value === undefined ? [] : [[limit, value] as const];
  });
  if (wanted.length === 0) throw new UsageError("wanted one of --bytes, --repositories and --tags");
  const path = `/quotas/${segment(namespace)}`;
  const before = await limitsOf(call, path);
  const quota = (await call("PUT", path, { ...before, ...Object.fromEntries(wanted) })) as Entry;
  say(`${namespace}: ${LIMITS.map((limit) => `${limit} ${describeUse(quota, limit)}`).join(", ")}`);
  print(
    quota,
    () => "",
    () => [],
  );
  return EXIT.ok;
}

async function limitsOf(call: Call, path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    const quota = (await call("GET", path)) as Entry;
    return Object.fromEntries(LIMITS.map((limit) => [limit, quota[limit]]));
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return {};
    throw error;
  }
}

async function remove({ call, args, say }: AdminCall): Promise<number> {
  const [namespace = ""] = requirePlaces(args, { wanted: ["NAMESPACE"] });
  await call("DELETE", `/quotas/${segment(namespace)}`);
  say(`lifted the quota of ${namespace}`);
  return EXIT.ok;
}
