import type { Entry, Group } from "../command.ts";

export const MANIFEST: Group = {
  about: "Reads and writes manifests as they are, byte by byte.",
  commands: {
    get: entry(
      "print a manifest as it is stored",
      async () => (await import("./manifest-get.ts")).MANIFEST_GET,
    ),
    head: entry(
      "print its digest, type and size",
      async () => (await import("./manifest-head.ts")).MANIFEST_HEAD,
    ),
    put: entry("store a file as a manifest", async () => (await import("./manifest-put.ts")).MANIFEST_PUT),
    delete: entry(
      "delete a manifest by its digest",
      async () => (await import("./manifest-delete.ts")).MANIFEST_DELETE,
    ),
    diff: entry("compare two manifests", async () => (await import("./manifest-diff.ts")).MANIFEST_DIFF),
  },
  examples: [
    { line: "manifest get localhost:5000/team/app:1.0" },
    { line: "manifest diff localhost:5000/team/app:1.0 localhost:5000/team/app:stable" },
  ],
};

function entry(summary: string, load: Entry["load"]): Entry {
  return { summary, load };
}
