import type { Digest } from "@stowage/oci/digest";

/** Content under its digest never changes; the strong validator of a body is its digest. */
export function etagOf(digest: Digest): string {
  return `"${digest}"`;
}

/** Whether If-None-Match names the content (RFC 9110 section 13.1.2), so that 304 is the answer. */
export function isNotModified(request: Request, digest: Digest): boolean {
  const header = request.headers.get("If-None-Match");
  if (header === null) return false;
  const etag = etagOf(digest);
  return header.split(",").some((candidate) => {
    const tag = candidate.trim();
    return tag === "*" || tag === etag || tag === `W/${etag}`;
  });
}

/** The Range header, unless If-Range says that it was meant for other content (RFC 9110 section 13.1.5). */
export function applicableRange(request: Request, digest: Digest): string | null {
  const condition = request.headers.get("If-Range");
  if (condition !== null && condition.trim() !== etagOf(digest)) return null;
  return request.headers.get("Range");
}
