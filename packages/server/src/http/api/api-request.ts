import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Context, Hono } from "hono";
import type { Exchange } from "../exchange.ts";

/** What the door hands to the API: nothing else of the request is looked at. */
export interface ApiRequest {
  /** See ApiTarget. */
  readonly path: string;
  readonly exchange: Exchange;
  /** The repository that `authorize` was asked about; null outside a repository. */
  readonly repository: RepositoryName | null;
}

export interface ApiEnv {
  Bindings: ApiRequest;
}

export type Api = Hono<ApiEnv>;

/** The repository of the path: the very one that was authorized. */
export function repositoryOf(context: Context<ApiEnv>): RepositoryName {
  const { repository } = context.env;
  if (repository === null) throw new Error("the route is not below a repository");
  return repository;
}
