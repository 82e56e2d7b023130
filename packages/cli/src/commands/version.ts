import type { Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { VERSION_NUMBER, versionLine } from "../version-line.ts";

export const VERSION: Command = {
  about: "Prints the version of Stowage and of the Bun that runs it.",
  places: [],
  shared: ["output"],
  examples: [{ line: "version" }, { line: "version --format '{{.version}}'" }],
  async run({ output }) {
    output.print({
      value: { version: VERSION_NUMBER, bun: Bun.version, os: process.platform, architecture: process.arch },
      text: versionLine,
      ids: () => [VERSION_NUMBER],
    });
    return EXIT.ok;
  },
};
