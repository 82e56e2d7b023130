import type { Connection } from "./connection.ts";
import type { IoOptions } from "./content.ts";
import { listPages, type PageOptions, pagePath, textsOf } from "./pages.ts";
import { CATALOG_SCOPE } from "./scopes.ts";

/** A registry as a whole. Made by `RegistryClient.registry`. */
export class Registry {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get host(): string {
    return this.#connection.registry;
  }

  /** Whether it is a registry, and lets us in (OCI Distribution Specification, end-1). @throws ClientError */
  async ping({ signal }: IoOptions = {}): Promise<void> {
    const response = await this.#connection.send({
      method: "GET",
      target: "/v2/",
      scopes: [],
      operation: `ask ${this.host}`,
      signal,
    });
    await response.body?.cancel();
  }

  /** Docker Registry HTTP API V2, "Catalog": names of the repositories that may be seen. */
  async *repositories(options: PageOptions = {}): AsyncGenerator<string, void, void> {
    const target = pagePath("/v2/_catalog", options);
    const request = {
      method: "GET",
      target,
      scopes: [CATALOG_SCOPE],
      operation: `list ${this.host}`,
      signal: options.signal,
    } as const;
    for await (const value of listPages(this.#connection, request)) yield* textsOf(value, "repositories");
  }
}
