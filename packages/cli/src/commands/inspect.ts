import { inspectImage } from "@stowage/client/inspect-image";
import { formatSize } from "../byte-size.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { openImage, PLATFORM_OPTION, platformOf } from "../image.ts";
import { printable } from "../table.ts";

export const INSPECT: Command = {
  about: "Prints what an image is: digest, platform, size, command, labels; of an index also what it has.",
  places: [{ name: "REF", completes: "reference" }],
  options: PLATFORM_OPTION,
  shared: ["output", "registry"],
  examples: [
    { line: "inspect localhost:5000/team/app:1.0" },
    { line: "inspect localhost:5000/team/app:1.0 --format json" },
    { line: "inspect localhost:5000/team/app:1.0 --format '{{.digest}} {{.platform}}'" },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const { repository, target, name } = await openImage(call, args.places[0] ?? "");
  const summary = await inspectImage(repository, target, { platform: platformOf(call), signal });
  const value = { name, ...summary };
  output.print({ value, text: () => describe(value), ids: () => [summary.digest] });
  return EXIT.ok;
}

function describe(value: Readonly<Record<string, unknown>>): string {
  const rows = Object.entries(value).flatMap(([key, member]): (readonly [string, string])[] => {
    if (member === null || member === "") return [];
    if (key === "size" && typeof member === "number") return [[key, formatSize(member)]];
    if (Array.isArray(member)) return member.map((entry, at) => [at === 0 ? key : "", String(entry)]);
    if (typeof member !== "object") return [[key, String(member)]];
    return Object.entries(member).map(([label, text], at) => [at === 0 ? key : "", `${label}=${text}`]);
  });
  const width = Math.max(...rows.map(([key]) => key.length));
  return rows
    .map(([key, text]) => `${(key === "" ? "" : `${key}:`).padEnd(width + 1)} ${printable(text)}\n`)
    .join("");
}
