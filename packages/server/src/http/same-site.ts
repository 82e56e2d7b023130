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
  { origin, publicUrl }: { readonly origin: Origin; readonly publicUrl: string | null },
): void {
  if (!isMutating(request.method)) return;
  const site = request.headers.get("Sec-Fetch-Site");
  if (site === "cross-site" || site === "same-site") throw crossSite();
  const page = request.headers.get("Origin");
  if (page === null) return;
  // An origin is scheme://host[:port], or "null" for a page that must not say where it is from.
  const [, scheme = "", host = ""] = /^(https?):\/\/([^/]+)$/i.exec(page) ?? [];
  const own = ownAddresses(origin, publicUrl).filter((one) => one.host?.toLowerCase() === host.toLowerCase());
  // Over plain http anybody on the network can be the page of that name; behind a proxy https may be unknown here.
  const isForged = scheme.toLowerCase() === "http" && own.some((one) => one.isSecure);
  if (own.length === 0 || isForged) throw crossSite();
}

interface OwnAddress {
  readonly host: string | null;
  readonly isSecure: boolean;
}

function ownAddresses({ host, scheme }: Origin, publicUrl: string | null): readonly OwnAddress[] {
  const asked = { host, isSecure: scheme === "https" };
  if (publicUrl === null) return [asked];
  const { host: publicHost, protocol } = new URL(publicUrl);
  return [asked, { host: publicHost, isSecure: protocol === "https:" }];
}

function crossSite(): RegistryError {
  return new RegistryError("DENIED", {
    message: "changes are not accepted from the pages of another site",
  });
}
