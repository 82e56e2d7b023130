/** Names of the cookie with a browser's session: over TLS one that only this host can set (RFC 6265bis). */
export const SESSION_COOKIES = ["__Host-stowage", "stowage"] as const;

/** Longest Cookie header that is looked at, in characters. */
const COOKIE_LENGTH_MAX = 8 * 1024;

/**
 * Secret of the session that a request's cookie names, or null. Where the registry is reached by https only the first name
 * counts: the other one may be set by whoever has a neighbouring host, or the way to it without TLS, who would make somebody
 * else work in a session of theirs.
 */
export function sessionOf(request: Request, publicUrl: string | null): string | null {
  const header = request.headers.get("Cookie");
  if (header === null || header.length > COOKIE_LENGTH_MAX) return null;
  const pairs = header.split(";").map((pair) => pair.trim());
  const isSecure = publicUrl?.startsWith("https:") === true;
  for (const name of isSecure ? SESSION_COOKIES.slice(0, 1) : SESSION_COOKIES) {
    const pair = pairs.find((candidate) => candidate.startsWith(`${name}=`));
    if (pair !== undefined) return pair.slice(name.length + 1);
  }
  return null;
}
