import type { FileTree, Inode } from "@stowage/client/layers/file-tree";

export interface FileChange {
  readonly change: "added" | "removed" | "changed";
  readonly path: string;
  /** What of it is different: `content`, `mode`, `owner`, `link`, `kind`. */
  readonly what: readonly string[];
}

/** What is different between the files of two images; times are not looked at. Both were read with hashes. */
export function* fileChanges(before: FileTree, after: FileTree): Generator<FileChange, void, void> {
  const old = new Map<string, Inode | null>();
  for (const [path, { inode }] of before) old.set(path, inode);
  for (const [path, { inode }] of after) {
    const was = old.get(path);
    old.delete(path);
    if (was === undefined) yield { change: "added", path, what: [] };
    else {
      const what = differences(was, inode);
      if (what.length > 0) yield { change: "changed", path, what };
    }
  }
  for (const path of old.keys()) yield { change: "removed", path, what: [] };
}

/** A folder that nobody described is like any folder. */
function differences(a: Inode | null, b: Inode | null): readonly string[] {
  if (a === null || b === null) {
    const kind = a?.kind ?? b?.kind ?? "directory";
    return kind === "directory" ? [] : ["kind"];
  }
  if (a.kind !== b.kind) return ["kind"];
  const what: string[] = [];
  if (a.hash !== b.hash || a.size !== b.size || a.device !== b.device) what.push("content");
  if (a.linkName !== b.linkName) what.push("link");
  if (a.mode !== b.mode) what.push("mode");
  if (a.uid !== b.uid || a.gid !== b.gid) what.push("owner");
  return what;
}
