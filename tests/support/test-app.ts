import type { Administration } from "@stowage/server/auth/administration";
import type { Auth } from "@stowage/server/auth/auth";
import { type Authorize, authorize } from "@stowage/server/auth/authorize";
import type { BlobStore } from "@stowage/server/blobstore/blob-store";
import { MemoryBlobStore } from "@stowage/server/blobstore/memory";
import type { ClientCertificate } from "@stowage/server/http/exchange";
import { UPLOAD_PACE } from "@stowage/server/http/upload-pace";
import type { Login } from "@stowage/server/http/oidc/login";
import { createApp } from "@stowage/server/http/app";
import { parseCidrs } from "@stowage/server/net/client-address";
import type { RateLimits } from "@stowage/server/http/rate-limits";
import { type Durations, DURATIONS_DEFAULT, type Metadata } from "@stowage/server/metadata/metadata";
import { SqliteMetadata } from "@stowage/server/metadata/sqlite/sqlite-metadata";
import { createLog, type Log } from "@stowage/server/observe/log";
import type { CollectorRules, GarbageReport } from "@stowage/server/registry/collect-garbage";
import type { Schema1Mode } from "@stowage/server/registry/manifest-form";
import { createRegistry, type Registry } from "@stowage/server/registry/registry";
import type { TestBlob, TestImage } from "./content.ts";
import { createTestAuth, type TestAuthOptions } from "./test-auth.ts";

export interface TestAppOptions {
  readonly store?: BlobStore;
  /** A database in memory by default. */
  readonly databasePath?: string;
  readonly authorize?: Authorize;
  /** Said, there is authentication: what it says, and defaults for the rest. */
  readonly auth?: TestAuthOptions;
  readonly publicUrl?: string;
  /** As `--trusted-proxies` has them. */
  readonly trustedProxies?: string;
  readonly login?: Login;
  readonly limits?: RateLimits;
  readonly allowSparse?: boolean;
  readonly schema1?: Schema1Mode;
  readonly readOnly?: boolean;
  readonly durations?: Partial<Durations>;
  readonly collector?: Partial<CollectorRules>;
}

export interface RequestParts {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: NonNullable<RequestInit["body"]>;
  readonly address?: string;
  readonly isLocal?: boolean;
  /** Whether the connection is TLS. */
  readonly isSecure?: boolean;
  readonly clientCertificate?: ClientCertificate;
}

/** A registry in this process, without a socket: requests go through the app function. */
export class TestApp implements AsyncDisposable {
  readonly metadata: Metadata;
  readonly store: BlobStore;
  readonly registry: Registry;
  readonly auth: Auth | null;
  readonly administration: Administration;
  /** Milliseconds that are added to the clock. */
  clockAhead = 0;
  /** Milliseconds that are added to the clock of the metadata alone, as when somebody sets it. */
  wallAhead = 0;
  draining = false;
  readonly #app: ReturnType<typeof createApp>;
  readonly #log: Log;
  #lines = "";

  constructor(options: TestAppOptions = {}) {
    const now = () => Date.now() + this.clockAhead + this.wallAhead;
    const onFatal = (error: unknown) => {
      throw error;
    };
    const durations = { ...DURATIONS_DEFAULT, ...options.durations };
    this.metadata = new SqliteMetadata(options.databasePath ?? ":memory:", { now, onFatal, durations });
    this.store = options.store ?? new MemoryBlobStore();
    const collector = { leaseMs: durations.leaseMs, batchMax: 500, pauseMs: 0, untaggedMs: null };
    const rules = {
      manifests: { allowSparse: options.allowSparse ?? false, schema1: options.schema1 ?? "asked" },
      collector: { ...collector, ...options.collector },
      scrub: { intervalMs: 30 * 24 * 3_600_000, bytesPerSecond: 0 },
    };
    const monotonic = () => performance.now() + this.clockAhead;
    const { auth, administration } = createTestAuth(this.metadata, options.auth, { now, monotonic });
    this.auth = auth;
    this.administration = administration;
    const write = (lines: string) => {
      this.#lines += lines;
    };
    this.#log = createLog({ level: "debug", format: "json", write, now });
    const { metadata, store } = this;
    this.registry = createRegistry({ metadata, store, rules, log: this.#log, now, monotonic });
    this.#app = createApp({
      registry: this.registry,
      administration: this.administration,
      auth: this.auth,
      login: options.login ?? null,
      authorize: options.authorize ?? authorize,
      publicUrl: options.publicUrl ?? null,
      trustedProxies: options.trustedProxies === undefined ? null : parseCidrs(options.trustedProxies),
      limits: options.limits ?? null,
      log: this.#log,
      readOnly: options.readOnly ?? false,
      isDraining: () => this.draining,
    });
  }

  /** Every line that was logged. */
  get log(): string {
    this.#log.flush();
    return this.#lines;
  }

  /** Runs the collector once. */
  async collect(): Promise<GarbageReport> {
    return await this.registry.collector.run(new AbortController().signal);
  }

  /** Sends a request as it would come from the socket. `path` may be any text after the host. */
  async request(method: string, path: string, parts: RequestParts = {}): Promise<Response> {
    const request = new Request("http://registry.test/", { method, ...parts });
    // The address as the server hands it on: Request would normalise or refuse a hostile one.
    Object.defineProperty(request, "url", { value: `http://registry.test${path}` });
    return await this.#app(request, {
      remoteAddress: parts.address ?? "127.0.0.1",
      isLocal: parts.isLocal ?? false,
      isSecure: parts.isSecure ?? false,
      clientCertificate: parts.clientCertificate ?? null,
      uploadPace: UPLOAD_PACE,
      setIdleTimeout: () => undefined,
    });
  }

  /** Pushes a blob in one request. */
  async pushBlob(
    repository: string,
    { bytes, digest }: TestBlob,
    parts: RequestParts = {},
  ): Promise<Response> {
    const path = `/v2/${repository}/blobs/uploads/?digest=${digest}`;
    return await this.request("POST", path, { ...parts, body: bytes });
  }

  /** Pushes config, layers and manifest; the answer is the manifest's. */
  async pushImage(
    repository: string,
    reference: string,
    image: TestImage,
    parts: RequestParts = {},
  ): Promise<Response> {
    for (const blob of [image.config, ...image.layers]) await this.pushBlob(repository, blob, parts);
    return await this.pushManifest(repository, reference, image, parts);
  }

  async pushManifest(
    repository: string,
    reference: string,
    image: Pick<TestImage, "manifest" | "mediaType">,
    parts: RequestParts = {},
  ) {
    const headers = { ...parts.headers, "Content-Type": image.mediaType };
    return await this.request("PUT", `/v2/${repository}/manifests/${reference}`, {
      ...parts,
      headers,
      body: image.manifest.bytes,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.metadata[Symbol.asyncDispose]();
    await this.store[Symbol.asyncDispose]();
  }
}

/** Code of the first error of an envelope; fails when the body is none. */
export async function errorCode(response: Response): Promise<string> {
  const body: unknown = await response.json();
  if (typeof body !== "object" || body === null || !("errors" in body) || !Array.isArray(body.errors)) {
    throw new Error(`no error envelope: ${JSON.stringify(body)}`);
  }
  const [first] = body.errors as { code?: unknown; message?: unknown }[];
  if (typeof first?.code !== "string" || typeof first.message !== "string") throw new Error("no error code");
  return first.code;
}
