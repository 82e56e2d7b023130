import type { Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";

/** In the table for its line in the help; `stowage help ...` is answered before commands are looked for. */
export const HELP: Command = {
  about: "Prints what a command does, and its options.",
  places: [{ name: "COMMAND", isOptional: true, takesRest: true }],
  shared: [],
  examples: [{ line: "help" }, { line: "help version" }],
  run: async () => EXIT.ok,
};
