import manifest from "../package.json" with { type: "json" };

export const VERSION_NUMBER: string = manifest.version;

export function versionLine(): string {
  return `stowage ${VERSION_NUMBER} (bun ${Bun.version})\n`;
}
