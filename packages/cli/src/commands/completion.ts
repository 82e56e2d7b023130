import { UsageError } from "../arguments.ts";
import type { Call, Command } from "../command.ts";
import { SCRIPTS } from "../completion-scripts.ts";
import { EXIT } from "../exit-codes.ts";

export const COMPLETION: Command = {
  about:
    "Prints a script that completes commands, options, repositories and tags in your shell. Repositories and tags are asked of the registry while you type, for at most a second and a half.",
  places: [{ name: "SHELL", help: "bash, zsh or fish", completes: ["bash", "zsh", "fish"] }],
  shared: [],
  examples: [
    { line: "completion bash > ~/.local/share/bash-completion/completions/stowage" },
    { line: "completion zsh > ~/.zfunc/_stowage" },
    { line: "completion fish > ~/.config/fish/completions/stowage.fish" },
  ],
  run,
};

async function run({ args, world }: Call): Promise<number> {
  const [shell = ""] = args.places;
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
  if (script === undefined) {
    throw new UsageError(`"${shell}" is no shell that is known; wanted bash, zsh or fish`);
  }
  world.stdout.write(script);
  return EXIT.ok;
}
