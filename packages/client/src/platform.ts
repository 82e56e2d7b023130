import type { Descriptor, Platform } from "@stowage/oci/descriptor";
import { quote } from "@stowage/oci/reference";
import { ClientError } from "./client-error.ts";

/** `os/architecture[/variant]`. @throws ClientError of kind `invalid` */
export function requirePlatform(text: string): Platform {
  const [, os, architecture, variant] = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9.]+))?$/.exec(text) ?? [];
  if (os !== undefined && architecture !== undefined) return { os, architecture, variant: variant ?? null };
  throw new ClientError(
    "invalid",
    `invalid platform ${quote(text)}: wanted OS/ARCHITECTURE[/VARIANT], for example linux/arm64/v8`,
  );
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return `${os}/${architecture}${variant === null ? "" : `/${variant}`}`;
}

/** Entries of an index for `platform`: those of its variant, or, when none is wanted, all of its architecture. */
export function entriesForPlatform<Entry extends Pick<Descriptor, "platform">>(
  entries: readonly Entry[],
  platform: Platform,
): readonly Entry[] {
  return entries.filter(({ platform: offered }) => {
    if (offered === null || offered.os !== platform.os || offered.architecture !== platform.architecture)
      return false;
    return (
      platform.variant === null ||
      platform.variant === (offered.variant ?? usualVariant(offered.architecture))
    );
  });
}

/** What an index means that does not say it (OCI image specification, "Platform Variants"). */
function usualVariant(architecture: string): string | null {
  if (architecture === "arm64") return "v8";
  return architecture === "arm" ? "v7" : null;
}
