import { readArguments } from "../arguments.ts";
import type { Call, Command } from "../command.ts";
import { completionsOf } from "../completions.ts";
import { EXIT } from "../exit-codes.ts";
import { HELP_OPTION } from "../shared-options.ts";

/** What the scripts of `stowage completion` call; it is silent whatever goes wrong. */
export const COMPLETE: Command = {
  about: "Prints what may stand in place of the last word.",
  places: [{ name: "WORD", isOptional: true, takesRest: true }],
  shared: [],
  isRaw: true,
  examples: [{ line: "__complete co" }],
  async run(call: Call): Promise<number> {
    const args = readArguments([], HELP_OPTION);
    for (const { text, help } of await completionsOf(call.tree, call.words, { ...call, args })) {
      call.world.stdout.write(help === "" ? `${text}\n` : `${text}\t${help}\n`);
    }
    return EXIT.ok;
  },
};
