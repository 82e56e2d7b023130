/**
 * An address that a registry gave, relative ones to `base`; null when it is none, or when it leads to http although the
 * registry, at `origin`, is reached by https.
 */
export function safeUrl(address: string, origin: string, base?: string): URL | null {
  const url = URL.canParse(address, base) ? new URL(address, base) : null;
  const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && origin.startsWith("http:"));
  return isSafe ? url : null;
}
