import type { Entry, Group } from "../command.ts";

export const BLOB: Group = {
  about: "Reads and writes blobs: layers, configs, files of artifacts.",
  commands: {
    get: entry("print a blob, verified", async () => (await import("./blob-get.ts")).BLOB_GET),
    head: entry("print its size", async () => (await import("./blob-head.ts")).BLOB_HEAD),
    put: entry("store a file as a blob", async () => (await import("./blob-put.ts")).BLOB_PUT),
    delete: entry("delete a blob", async () => (await import("./blob-delete.ts")).BLOB_DELETE),
    mount: entry(
      "take a blob over from another repository",
      async () => (await import("./blob-mount.ts")).BLOB_MOUNT,
    ),
  },
  examples: [
    { line: "blob put localhost:5000/team/app ./README.md" },
    { line: "blob get localhost:5000/team/app@$BLOB > blob.bin" },
  ],
};

function entry(summary: string, load: Entry["load"]): Entry {
  return { summary, load };
}
