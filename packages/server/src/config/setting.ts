import { DURATION_WANTED, parseDuration } from "./duration.ts";

interface SettingBase {
  /** Flag without the dashes; the environment variable is STOWAGE_ and this in capitals. */
  readonly name: string;
  readonly help: string;
}

/** One setting: a switch, or an option with its default and what it accepts. */
export type Setting =
  | (SettingBase & { readonly kind: "switch" })
  | (SettingBase & {
      readonly kind: "option";
      readonly placeholder: string;
      readonly fallback: string | null;
      /** Says what is wanted when `accepts` refuses a value. */
      readonly wanted: string;
      readonly accepts: (text: string) => boolean;
    });

/** Name of the environment variable of a setting. */
export function environmentName(setting: SettingBase): string {
  return `STOWAGE_${setting.name.toUpperCase().replaceAll("-", "_")}`;
}

/** A setting with a value. */
export function option<Name extends string>(
  name: Name,
  placeholder: string,
  fallback: string | null,
  help: string,
  wanted: string,
  accepts: (text: string) => boolean,
) {
  return { kind: "option", name, placeholder, fallback, help, wanted, accepts } as const;
}

/** A setting whose value is a time. */
export function duration<Name extends string>(name: Name, fallback: string, help: string) {
  return option(name, "TIME", fallback, help, DURATION_WANTED, (text) => parseDuration(text) !== null);
}

/** A setting that is on or off. */
export function toggle<Name extends string>(name: Name, help: string) {
  return { kind: "switch", name, help } as const;
}
