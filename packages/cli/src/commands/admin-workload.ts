import { requirePlaces } from "../arguments.ts";
import { EXIT } from "../exit-codes.ts";
import type { AdminCall, AdminNoun } from "./admin-command.ts";
import { readDocument } from "./json-document.ts";

export const WORKLOAD: AdminNoun = {
  help: "issuers (GitHub, GitLab, Kubernetes) whose tokens open the registry without a password",
  commands: {
    get: { places: "", help: "print them, a JSON document", run: get },
    set: { places: "FILE|-", help: "replace them by such a document", run: set },
  },
  examples: ["admin workload get > workloads.json", "admin workload set workloads.json"],
};

async function get({ call, args, print }: AdminCall): Promise<number> {
  requirePlaces(args, { wanted: [] });
  const workloads = await call("GET", "/workloads");
  print(workloads, () => `${JSON.stringify(workloads, null, 2)}\n`);
  return EXIT.ok;
}

async function set({ call, args, say }: AdminCall): Promise<number> {
  const [file = ""] = requirePlaces(args, { wanted: ["FILE"] });
  const workloads = (await call("PUT", "/workloads", await readDocument(file))) as readonly unknown[];
  say(`${workloads.length} ${workloads.length === 1 ? "issuer is" : "issuers are"} trusted`);
  return EXIT.ok;
}
