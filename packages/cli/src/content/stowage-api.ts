import type { RegistryClient } from "@stowage/client/registry-client";
import { readText } from "@stowage/client/answers";
import { ClientError } from "@stowage/client/client-error";
import { isObject, type JsonObject } from "@stowage/oci/descriptor";
import type { Call } from "../command.ts";

/** Largest answer, in bytes: a page of a thousand entries. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** Pages of one listing. */
const PAGES_MAX = 100_000;

/** Asks a registry's management API, which only Stowage has, with what the registry itself is asked with. */
export class StowageApi {
  readonly #client: RegistryClient;
  readonly #registry: string;
  readonly #call: Pick<Call, "signal">;

  constructor(client: RegistryClient, registry: string, call: Pick<Call, "signal">) {
    this.#client = client;
    this.#registry = registry;
    this.#call = call;
  }

  /** `path` below `/api/v1`. @throws ClientError; `server` when what answers is no API of Stowage */
  async get(path: string): Promise<JsonObject> {
    const { signal } = this.#call;
    const operation = `ask ${this.#registry} for ${path.replace(/\?.*$/s, "")}`;
    const response = await this.#client
      .connection(this.#registry)
      .send({ method: "GET", target: `/api/v1${path}`, scopes: [], operation, signal });
    const text = await readText(response, { bytesMax: ANSWER_BYTES_MAX, operation });
    try {
      const answer: unknown = JSON.parse(text);
      if (isObject(answer)) return answer;
    } catch {
      // A page for people, of another program.
    }
    throw new ClientError("server", `${operation}: the answer is not that of Stowage`, { status: 404 });
  }

  /** Entries of a listing, page by page. */
  async *list(path: string, member: string): AsyncGenerator<JsonObject, void, void> {
    let next = "";
    for (let page = 0; page < PAGES_MAX; page++) {
      const more = next === "" ? "" : `&next=${encodeURIComponent(next)}`;
      const answer = await this.get(`${path}${more}`);
      const entries = answer[member];
      if (Array.isArray(entries)) yield* entries.filter(isObject);
      if (typeof answer.next !== "string" || answer.next === "") return;
      next = answer.next;
    }
  }

  /** Signs in where that is asked for: the API answers nobody as well, with less. */
  async signIn(): Promise<void> {
    await this.#client.registry(this.#registry).ping({ signal: this.#call.signal });
  }
}
