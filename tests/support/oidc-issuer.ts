import type { Signer } from "./signed-tokens.ts";

/** An issuer on loopback: metadata, keys, and whatever else a test wants of it. */
export class OidcIssuer implements AsyncDisposable {
  readonly url: string;
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  signers: readonly Signer[];
  /** What its metadata says besides, or instead. */
  metadata: Readonly<Record<string, unknown>> = {};
  readonly #server: ReturnType<typeof Bun.serve>;

  constructor(...signers: readonly Signer[]) {
    this.signers = signers;
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => this.#answer(request),
    });
    this.url = `http://127.0.0.1:${this.#server.port}`;
  }

  /** Paths that a test adds, and what they answer. */
  readonly routes = new Map<string, (request: Request) => Response | Promise<Response>>();

  #answer(request: Request): Response | Promise<Response> {
    const path = request.url.slice(this.url.length).replace(/\?.*$/, "");
    this.asked.push(path);
    const route = this.routes.get(path);
    if (route !== undefined) return route(request);
    switch (path) {
      case "/.well-known/openid-configuration":
        return Response.json({ issuer: this.url, jwks_uri: `${this.url}/keys`, ...this.metadata });
      case "/keys":
        return Response.json({ keys: this.signers.map(({ publicJwk }) => publicJwk) });
      default:
        return new Response(null, { status: 404 });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}
