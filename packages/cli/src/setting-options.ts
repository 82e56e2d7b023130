import type { Setting } from "@stowage/server/config/setting";
import { SETTINGS } from "@stowage/server/config/settings";
import type { Arguments, OptionSpec, OptionSpecs } from "./arguments.ts";

/** The settings of `stowage serve` as options of a command. */
export function settingOptions({ isHidden = false }: { readonly isHidden?: boolean } = {}): OptionSpecs {
  return Object.fromEntries(SETTINGS.map((setting) => [setting.name, { ...optionOf(setting), isHidden }]));
}

function optionOf(setting: Setting): OptionSpec {
  if (setting.kind === "switch") return { value: null, help: setting.help };
  const { placeholder: value, help, fallback } = setting;
  return { value, help: fallback === null ? help : `${help} (default ${fallback})` };
}

/** The settings among the arguments, as `readSettings` takes them. */
export function settingArguments(args: Arguments): readonly string[] {
  return SETTINGS.flatMap(({ name, kind }) => {
    if (!args.has(name)) return [];
    return kind === "switch" ? [`--${name}`] : [`--${name}=${args.get(name)}`];
  });
}
