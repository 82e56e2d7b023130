import { type Arguments, type OptionSpec, UsageError } from "../arguments.ts";

export const ANNOTATION_OPTION: OptionSpec = { value: "KEY=VALUE", help: "annotation; may be repeated" };

/** What --annotation says. @throws UsageError */
export function annotationsOf(args: Arguments): Readonly<Record<string, string>> {
  const pairs = args.all("annotation").map((text) => {
    const equals = text.indexOf("=");
    if (equals < 1) throw new UsageError(`--annotation is "${text}"; wanted KEY=VALUE`);
    return [text.slice(0, equals), text.slice(equals + 1)] as const;
  });
  return Object.fromEntries(pairs);
}
