import type { Platform } from "@stowage/oci/descriptor";
import { parseDigest } from "@stowage/oci/digest";
import { parseRepositoryName } from "@stowage/oci/repository-name";
import { parseTag } from "@stowage/oci/tag";
import { z } from "zod";
import { parsed } from "./validate.ts";

/** Most entries of a page, and its length when the client does not say. */
const PAGE_ENTRIES_MAX = 1_000;
const PAGE_ENTRIES = 100;

/** `n`: a huge one is clamped, and the answer's `next` then says that more follows. */
export const EntriesMax = z.coerce
  .number()
  .min(1)
  .refine(Number.isInteger, "wanted a whole number")
  .transform((n) => Math.min(n, PAGE_ENTRIES_MAX))
  .default(PAGE_ENTRIES)
  .meta({
    type: "integer",
    default: PAGE_ENTRIES,
    description: `most entries of the page; more than ${PAGE_ENTRIES_MAX} counts as that`,
  });

export const Flag = z
  .enum(["true", "false"])
  .default("false")
  .transform((text) => text === "true")
  .meta({ type: "boolean", enum: [true, false], default: false });

export const Order = z.enum(["asc", "desc"]).default("asc");

export const NameParam = parsed(parseRepositoryName, "a repository name").meta({
  description: "repository name; its slashes may be sent as they are or as %2F",
});
export const DigestParam = parsed(parseDigest, "sha256: and 64 or sha512: and 128 lower-case hex digits");
export const TagParam = parsed(parseTag, "a tag: at most 128 of letters, digits, _ . -");

export const IdParam = parsed(
  (text) => (/^[1-9]\d{0,15}$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : null),
  "a number that a listing gave",
);

export const InRepository = z.object({ name: NameParam });

export const Count = z.number().int().min(0);
export const Bytes = Count.meta({ description: "bytes" });
export const Time = z.string().meta({ format: "date-time" });
export const Digest = z.string().meta({ description: "sha256:... or sha512:..." });
export const Next = z.string().nullable().meta({ description: "the `next` of the next page, or null" });
export const PlatformText = z
  .string()
  .nullable()
  .meta({ description: "os/architecture[/variant] of an image" });

export function formatPlatform(platform: Platform | null): string | null {
  if (platform === null) return null;
  const { os, architecture, variant } = platform;
  return variant === null ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/** Of numbers that depend on what other repositories have. */
export const NOT_TOLD = "null: not told to who may not pull everything";

/** A deletion that was made: `undoUntil` is null when it cannot be undone. */
export const Deleted = z.object({
  deletion: Count.meta({ description: "id of the record that undoes it" }),
  undoUntil: Time.nullable(),
});
