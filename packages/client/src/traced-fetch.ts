import type { Fetch } from "./registry-client.ts";

/** One request as it went over the wire: secrets are not in it. */
export interface Exchange {
  readonly method: string;
  readonly url: string;
  /** Null: no answer came. */
  readonly status: number | null;
  readonly requestHeaders: Readonly<Record<string, string>>;
  readonly responseHeaders: Readonly<Record<string, string>> | null;
  /** Until the answer's header was there, in milliseconds. */
  readonly ms: number;
}

/** A fetch for {@link ClientOptions} that tells of each exchange. */
export function traced(send: Fetch, tell: (exchange: Exchange) => void): Fetch {
  return async (request) => {
    const startedAt = performance.now();
    const { method, url } = request;
    const told = { method, url: withoutSecrets(url), requestHeaders: redact(request.headers) };
    const ms = () => performance.now() - startedAt;
    try {
      const response = await send(request);
      tell({ ...told, status: response.status, responseHeaders: redact(response.headers), ms: ms() });
      return response;
    } catch (error) {
      tell({ ...told, status: null, responseHeaders: null, ms: ms() });
      throw error;
    }
  };
}

/** Secrets of signed addresses stand in their query. */
function withoutSecrets(address: string): string {
  const query = address.indexOf("?");
  const names =
    query === -1
      ? []
      : address
          .slice(query + 1)
          .split("&")
          .map((one) => one.replace(/=.*/s, ""));
  const hasSecret = names.some((name) => /sig|token|credential|secret|state/i.test(name));
  return hasSecret ? `${address.slice(0, query)}?(secret)` : address;
}

function redact(headers: Headers): Readonly<Record<string, string>> {
  const shown = new Headers(headers);
  const [scheme] = shown.get("Authorization")?.split(" ") ?? [];
  if (scheme !== undefined) shown.set("Authorization", `${scheme} (secret)`);
  const location = shown.get("Location");
  if (location !== null) shown.set("Location", withoutSecrets(location));
  shown.delete("Set-Cookie");
  return Object.fromEntries(shown);
}
