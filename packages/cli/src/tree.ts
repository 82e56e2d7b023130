import type { Commands, Example } from "./command.ts";

/**
 * Every command, with what help and completion say about it. Nothing is loaded before it is run or asked about, so
 * that `stowage --version` and completion are there at once.
 */
export const TREE: Commands = {
  serve: {
    summary: "run the registry",
    load: async () => (await import("./commands/serve.ts")).SERVE,
  },
  catalog: {
    summary: "list the repositories of a registry",
    load: async () => (await import("./commands/catalog.ts")).CATALOG,
  },
  ls: {
    summary: "list the tags of a repository",
    load: async () => (await import("./commands/ls.ts")).LS,
  },
  digest: {
    summary: "print the digest of an image, or of files",
    load: async () => (await import("./commands/digest.ts")).DIGEST,
  },
  inspect: {
    summary: "print what an image is",
    load: async () => (await import("./commands/inspect.ts")).INSPECT,
  },
  config: {
    summary: "print the config of an image",
    load: async () => (await import("./commands/config.ts")).CONFIG,
  },
  layers: {
    summary: "list the layers of an image",
    load: async () => (await import("./commands/layers.ts")).LAYERS,
  },
  history: {
    summary: "print how an image was made",
    load: async () => (await import("./commands/history.ts")).HISTORY,
  },
  copy: {
    summary: "copy images between registries",
    aliases: ["cp"],
    load: async () => (await import("./commands/copy.ts")).COPY,
  },
  tag: {
    summary: "give an image more tags",
    load: async () => (await import("./commands/tag.ts")).TAG,
  },
  untag: {
    summary: "take tags away, and leave the image",
    load: async () => (await import("./commands/untag.ts")).UNTAG,
  },
  delete: {
    summary: "delete an image with all its tags",
    aliases: ["rm"],
    load: async () => (await import("./commands/delete.ts")).DELETE,
  },
  manifest: {
    summary: "read and write manifests: get, head, put, delete, diff",
    load: async () => (await import("./commands/manifest.ts")).MANIFEST,
  },
  blob: {
    summary: "read and write blobs: get, head, put, delete, mount",
    load: async () => (await import("./commands/blob.ts")).BLOB,
  },
  login: {
    summary: "sign in to a registry",
    load: async () => (await import("./commands/login.ts")).LOGIN,
  },
  logout: {
    summary: "forget what a registry is signed in to with",
    load: async () => (await import("./commands/logout.ts")).LOGOUT,
  },
  auth: {
    summary: "tokens, credentials, and who you are",
    load: async () => (await import("./commands/auth.ts")).AUTH,
  },
  pull: {
    summary: "write an image to a folder or a file",
    load: async () => (await import("./commands/pull.ts")).PULL,
  },
  push: {
    summary: "push an image from a folder or a file",
    load: async () => (await import("./commands/push.ts")).PUSH,
  },
  sync: {
    summary: "bring repositories of a file up to date",
    load: async () => (await import("./commands/sync.ts")).SYNC,
  },
  cat: {
    summary: "print a file of an image",
    load: async () => (await import("./commands/cat.ts")).CAT,
  },
  export: {
    summary: "write the files of an image as one tar file",
    load: async () => (await import("./commands/export.ts")).EXPORT,
  },
  diff: {
    summary: "compare two images",
    load: async () => (await import("./commands/diff.ts")).DIFF,
  },
  size: {
    summary: "print how much an image is to pull",
    load: async () => (await import("./commands/size.ts")).SIZE,
  },
  tree: {
    summary: "print an image and what refers to it",
    load: async () => (await import("./commands/tree.ts")).TREE_COMMAND,
  },
  attach: {
    summary: "attach a file to an image",
    load: async () => (await import("./commands/attach.ts")).ATTACH,
  },
  index: {
    summary: "make and change images for several platforms",
    load: async () => (await import("./commands/index.ts")).INDEX,
  },
  validate: {
    summary: "read an image to its last byte and print what is wrong",
    load: async () => (await import("./commands/validate.ts")).VALIDATE,
  },
  search: {
    summary: "find repositories by name",
    load: async () => (await import("./commands/search.ts")).SEARCH,
  },
  du: {
    summary: "print how much repositories hold",
    load: async () => (await import("./commands/du.ts")).DU,
  },
  demo: {
    summary: "run a registry in memory with a small image in it",
    load: async () => (await import("./commands/demo.ts")).DEMO,
  },
  admin: {
    summary: "accounts, robots, tokens, access rules, keys, audit, quotas",
    load: async () => (await import("./commands/admin.ts")).ADMIN,
  },
  server: {
    summary: "look after a registry's data: gc, scrub, check, backup, restore",
    load: async () => (await import("./commands/server.ts")).SERVER,
  },
  api: {
    summary: "the API as OpenAPI, Postman, Markdown, curl, or by a template",
    load: async () => (await import("./commands/api.ts")).API,
  },
  completion: {
    summary: "print a completion script for bash, zsh or fish",
    load: async () => (await import("./commands/completion.ts")).COMPLETION,
  },
  version: {
    summary: "print the version",
    load: async () => (await import("./commands/version.ts")).VERSION,
  },
  help: {
    summary: "print this text, or that of a command",
    load: async () => (await import("./commands/help.ts")).HELP,
  },
  __complete: {
    summary: "print what may stand in place of the last word",
    isHidden: true,
    load: async () => (await import("./commands/complete.ts")).COMPLETE,
  },
};

export const TREE_ABOUT = "stowage: a container registry, and what works with registries";

export const TREE_EXAMPLES: readonly Example[] = [
  { line: "serve", untested: "it runs until it is stopped" },
  { line: "ls localhost:5000/team/app --long" },
  { line: "copy localhost:5000/team/app:1.0 localhost:5000/mirror/app:1.0" },
];
