import type { ErrorCode } from "../errors.ts";

/**
 * The API as data. One description, from which the OpenAPI document, the Postman collection, the curl script, docs/api.md
 * and the data of templates are made; tests hold it against the route table and against a live server.
 */
export interface ApiRoute {
  /** Endpoint id of the OCI Distribution Specification, or the extension; the one of the route table. */
  readonly id: string;
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "PATCH" | "DELETE";
  /** Template of the path, with `<name>` and the like, as in the route table. */
  readonly path: string;
  readonly entity: ApiEntity;
  readonly description: string;
  /** Ways in which the endpoint is used: at least one. */
  readonly requests: readonly ApiRequest[];
}

/** What a path is about, in the order of the documentation. */
export const API_ENTITIES = {
  Base: "Whether there is a registry that speaks this API, and whether it accepts the credentials.",
  Token: "Where clients get the short tokens that they show to the registry.",
  Keys: "The public keys that registry tokens are verified with.",
  "Blob upload": "Sessions in which the bytes of a blob arrive, at once or in chunks.",
  Blob: "Configs, layers and other content, addressed by digest and readable in the repositories that hold it.",
  Manifest: "Images, indexes and artifacts, by tag or by digest.",
  Tags: "The names that manifests have in a repository.",
  Tag: "One tag, without its manifest being sent again. An extension of Stowage.",
  Referrers: "Signatures, bills of materials and other artifacts that say which manifest they belong to.",
  Catalog: "The repositories of the registry, as far as the caller may pull from them.",
  Health: "For load balancers and orchestrators. No sign-in.",
} as const;

export type ApiEntity = keyof typeof API_ENTITIES;

/** A parameter of a request, or a header of an answer. */
export interface ApiField {
  readonly name: string;
  readonly type: "string" | "integer" | "boolean";
  /** How a value looks, for people: `<digest>`. */
  readonly format: string;
  /** Regular expression of a whole value, or null. */
  readonly pattern: string | null;
  /** Parameters: must be sent. Headers of answers: are always there. */
  readonly required: boolean;
  readonly description: string;
  readonly example: string;
}

export interface ApiParameter extends ApiField {
  readonly in: "path" | "query" | "header";
  /** May be given several times. */
  readonly isRepeatable: boolean;
}

export interface ApiBody {
  readonly contentType: string;
  /** How it looks, for people. */
  readonly format: string;
  /** Name in API_SCHEMAS, or null for bytes and text. */
  readonly schema: string | null;
}

export interface ApiAnswer {
  readonly name: string;
  readonly status: number;
  readonly description: string;
  readonly headers: readonly ApiField[];
  /** One of these, by its type; empty when there is none. */
  readonly bodies: readonly ApiBody[];
  /** Empty for successes. */
  readonly errors: readonly ErrorCode[];
}

/** One way to use an endpoint. */
export interface ApiRequest {
  /** Unique among all requests, in kebab-case. */
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly parameters: readonly ApiParameter[];
  /** Bodies that are accepted; empty when none is read. */
  readonly bodies: readonly ApiBody[];
  readonly successes: readonly ApiAnswer[];
  readonly failures: readonly ApiAnswer[];
  /** Null when it needs what a fresh registry does not have; the description says what. */
  readonly example: ApiExample | null;
}

/**
 * A call that works on a fresh registry, after those of the requests before it. Values may contain variables of
 * EXAMPLE_VARIABLES, as `$NAME`.
 */
export interface ApiExample {
  readonly status: number;
  /** Values of the path's parameters; `name` is `$NAME` unless it is given. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Name in EXAMPLE_FILES, or a form of the token endpoint, or null. */
  readonly body: ExampleBody | null;
  /** Sent as a stream of unknown length. */
  readonly isChunked: boolean;
  /** File that the body of the answer is written to, which is bytes that nobody wants to read; or null. */
  readonly saves: string | null;
  /** Without credentials. */
  readonly isAnonymous: boolean;
  /** Variable that is set from the answer. */
  readonly captures: "UPLOAD" | "REFRESH_TOKEN" | null;
  /** Requests whose examples run first, each time. */
  readonly after: readonly string[];
}

export type ExampleBody =
  | { readonly kind: "file"; readonly file: string }
  /** What an example before it has saved. */
  | { readonly kind: "saved"; readonly file: string }
  | { readonly kind: "form"; readonly fields: readonly (readonly [name: string, value: string])[] };
