import { requirePlatform } from "@stowage/client/platform";
import type { CopyOptions, CopyResult } from "@stowage/client/copy-options";
import { type Arguments, numberOf, type OptionSpecs } from "../arguments.ts";
import { formatSize } from "../byte-size.ts";

/** Blobs that travel at once. */
const JOBS_DEFAULT = 4;
const JOBS_MAX = 64;

/** What commands have in common that move images. */
export const MOVE_OPTIONS: OptionSpecs = {
  platform: {
    value: "OS/ARCH",
    help: "only the image for it, for example linux/arm64; may be repeated (default all)",
  },
  referrers: { value: null, help: "what refers to the image as well: signatures, SBOMs" },
  jobs: { value: "N", short: "j", help: `blobs that travel at once (default ${JOBS_DEFAULT})` },
};

/** @throws UsageError, ClientError */
export function readMoveOptions(args: Arguments): Pick<CopyOptions, "platforms" | "referrers" | "jobs"> {
  const platforms = args.all("platform").map(requirePlatform);
  return {
    platforms: platforms.length === 0 ? "all" : platforms,
    referrers: args.has("referrers"),
    jobs: numberOf(args, "jobs", { fallback: JOBS_DEFAULT, min: 1, max: JOBS_MAX }),
  };
}

/** One line about what travelled. */
export function describeCopy({ blobs, bytes }: Pick<CopyResult, "blobs" | "bytes">): string {
  const { copied, mounted, existed } = blobs;
  return `${copied} blobs copied (${formatSize(bytes)}), ${mounted} mounted, ${existed} were there`;
}
