import manifest from "../../package.json" with { type: "json" };
import { EXIT } from "../exit-codes.ts";

export function runVersion(): number {
  process.stdout.write(`stowage ${manifest.version} (bun ${Bun.version})\n`);
  return EXIT.ok;
}
