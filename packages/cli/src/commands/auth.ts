import type { Group } from "../command.ts";

export const AUTH: Group = {
  about: "What this machine signs in to registries with, and as whom.",
  commands: {
    whoami: {
      summary: "print who the registry says you are",
      load: async () => (await import("./auth-whoami.ts")).WHOAMI,
    },
    token: {
      summary: "print a token for a repository",
      load: async () => (await import("./auth-token.ts")).TOKEN,
    },
    get: {
      summary: "print what a registry is signed in to with",
      load: async () => (await import("./auth-get.ts")).GET,
    },
    helper: {
      summary: "be a credential helper of docker",
      load: async () => (await import("./auth-helper.ts")).HELPER,
    },
  },
  examples: [{ line: "auth whoami localhost:5000" }, { line: "auth helper list" }],
};
