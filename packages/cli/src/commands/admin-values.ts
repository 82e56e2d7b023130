import { DURATION_WANTED, parseDuration } from "@stowage/server/config/duration";
import { type Arguments, UsageError } from "../arguments.ts";

/** Options that several commands have. */
export const EXPIRES = { value: "TIME", help: "ends after e.g. 24h or 90d (default: never)" } as const;
export const ALLOW = {
  value: "RIGHTS:GLOB",
  help: "e.g. push:team/** or pull,delete:lib/*; may be repeated. Rights: pull, push, delete, admin, reader, writer, maintainer",
} as const;
export const DESCRIPTION = { value: "TEXT", help: "what it is for" } as const;

/** Seconds of `--option 24h`; null without it. @throws UsageError */
export function secondsOf(args: Arguments, option: string): number | null {
  const text = args.get(option);
  if (text === null) return null;
  const ms = parseDuration(text);
  if (ms === null || ms < 0) throw new UsageError(`--${option} is "${text}"; wanted ${DURATION_WANTED}`);
  return Math.ceil(ms / 1_000);
}

export interface WrittenGrant {
  readonly may: readonly string[];
  readonly repositories: readonly string[];
}

/** The grants of `--allow RIGHTS:GLOB`. @throws UsageError */
export function grantsOf(args: Arguments): readonly WrittenGrant[] {
  return args.all("allow").map((text) => {
    const colon = text.indexOf(":");
    if (colon <= 0 || colon === text.length - 1) {
      throw new UsageError(`--allow is "${text}"; wanted RIGHTS:GLOB such as push:team/**`);
    }
    return { may: text.slice(0, colon).split(","), repositories: text.slice(colon + 1).split(",") };
  });
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** A number of `--option 10GiB`; null: `none`; undefined without it. @throws UsageError */
export function limitOf(args: Arguments, option: string): number | null | undefined {
  const text = args.get(option);
  if (text === null) return undefined;
  if (text === "none") return null;
  const [, count = "", unit = ""] = /^(\d{1,15}(?:\.\d{1,6})?) ?([KMGT]?i?B?)$/i.exec(text) ?? [];
  const size = UNITS[unit.toLowerCase()];
  const value = count === "" || size === undefined ? Number.NaN : Math.round(Number(count) * size);
  if (!Number.isSafeInteger(value)) {
    throw new UsageError(`--${option} is "${text}"; wanted a number such as 500 or 10GiB, or none`);
  }
  return value;
}
