import { RegistryError } from "@stowage/oci/errors";
import type { Origin } from "../net/client-address.ts";
import { isMutating } from "./api/target.ts";

/**
 * Refuses a change that a page of another site sends from somebody's browser: browsers say where a request comes
 * from, and pages cannot forge it. Clients that are no browsers send neither header.
 * @throws RegistryError DENIED
 */
export function requireSameSite(
  request: Request,
  { origin: { host }, publicUrl }: { readonly origin: Origin; readonly publicUrl: string | null },
): void {
  if (!isMutating(request.method)) return;
  const site = request.headers.get("Sec-Fetch-Site");
  if (site === "cross-site" || site === "same-site") throw crossSite();
  const origin = request.headers.get("Origin");
  if (origin === null) return;
  // An origin is scheme://host[:port], or "null" for a page that must not say where it is from.
  const [, originHost] = /^https?:\/\/([^/]+)$/i.exec(origin) ?? [];
  const own = [host, publicUrl === null ? null : new URL(publicUrl).host];
  if (!own.some((name) => name !== null && name.toLowerCase() === originHost?.toLowerCase()))
    throw crossSite();
}

function crossSite(): RegistryError {
  return new RegistryError("DENIED", {
    message: "changes are not accepted from the pages of another site",
  });
}
