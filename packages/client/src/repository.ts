import type { Descriptor } from "@stowage/oci/descriptor";
import { algorithmOf, type Digest, type DigestAlgorithm, parseDigest } from "@stowage/oci/digest";
import type { RepositoryName } from "@stowage/oci/repository-name";
import { openBlob } from "./blob-download.ts";
import { uploadBlob } from "./blob-upload.ts";
import { ClientError } from "./client-error.ts";
import type { ApiRequest, Connection, Method } from "./connection.ts";
import type {
  BlobRef,
  ContentSource,
  ContentTarget,
  IoOptions,
  ManifestHead,
  OpenBytes,
  PutBlobOptions,
  RawManifest,
} from "./content.ts";
import { descriptorOf, headOf, MANIFEST_ACCEPT, partsOf, readManifest } from "./image-manifests.ts";
import { listPages, type PageOptions, pagePath, textsOf } from "./pages.ts";
import { addToFallback, listReferrers } from "./referrers.ts";
import { repositoryScope } from "./scopes.ts";
import { askForUpload, startUpload, UploadSession } from "./upload-session.ts";

interface Errand {
  readonly method: Method;
  /** What it is called in messages. */
  readonly verb: string;
  readonly kind?: "manifests" | "blobs";
  readonly signal: AbortSignal | undefined;
}

/** One repository of a registry: every endpoint below its name. Made by `RegistryClient.repository`. */
export class Repository implements ContentSource, ContentTarget {
  readonly name: RepositoryName;
  readonly #connection: Connection;
  readonly #canStream: boolean;
  /** Mounts that the registry turned into uploads: the bytes can go there at once. */
  readonly #opened = new Map<Digest, UploadSession>();

  constructor(
    connection: Connection,
    { name, canStream }: { readonly name: RepositoryName; readonly canStream: boolean },
  ) {
    this.#connection = connection;
    this.name = name;
    this.#canStream = canStream;
  }

  get registry(): string {
    return this.#connection.registry;
  }

  get label(): string {
    return `${this.registry}/${this.name}`;
  }

  /** OCI Distribution Specification, "Pulling manifests". @throws ClientError */
  async getManifest(
    reference: string | null,
    { signal, accept }: IoOptions & { readonly accept?: string } = {},
  ): Promise<RawManifest | null> {
    const wanted = reference ?? "latest";
    const request = this.#about(wanted, { method: "GET", verb: "pull", signal });
    const response = await this.#connection.send({
      ...request,
      headers: { Accept: accept ?? MANIFEST_ACCEPT },
      expected: [404],
    });
    if (response.status !== 404)
      return await readManifest(response, { reference: wanted, operation: request.operation });
    await response.body?.cancel();
    return null;
  }

  async headManifest(reference: string, { signal }: IoOptions = {}): Promise<ManifestHead | null> {
    const request = this.#about(reference, { method: "HEAD", verb: "resolve", signal });
    const response = await this.#connection.send({
      ...request,
      headers: { Accept: MANIFEST_ACCEPT },
      expected: [404],
    });
    if (response.status === 404) return null;
    const head = headOf(response);
    if (head !== null) return head;
    const manifest = await this.getManifest(reference, { signal });
    return manifest && descriptorOf(manifest);
  }

  /**
   * Stores a manifest under its digest and every tag, in one request where the registry can (OCI Distribution Specification,
   * "Pushing Manifests"). Where it does not list referrers itself, the subject's fallback tag is kept.
   */
  async putManifest(
    manifest: RawManifest,
    { tags = [], signal }: IoOptions & { readonly tags?: readonly string[] } = {},
  ): Promise<void> {
    const [first, ...others] = tags;
    const sent = await this.#put(manifest, { reference: first ?? manifest.digest, tags: others, signal });
    for (const tag of others.filter((other) => !sent.tags.includes(other))) {
      await this.#put(manifest, { reference: tag, tags: [], signal });
    }
    const { subject } = partsOf(manifest);
    if (subject !== null && !sent.knowsSubject)
      await addToFallback(this, { manifest, subject: subject.digest, signal });
  }

  async #put(
    manifest: RawManifest,
    {
      reference,
      tags,
      signal,
    }: {
      readonly reference: string;
      readonly tags: readonly string[];
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<{ readonly tags: readonly string[]; readonly knowsSubject: boolean }> {
    const request = this.#about(reference, { method: "PUT", verb: "push", signal });
    const query = tags.map((tag) => `tag=${encodeURIComponent(tag)}`).join("&");
    const target = query === "" ? request.target : `${request.target}?${query}`;
    const { bytes, mediaType } = manifest;
    const response = await this.#connection.send({
      ...request,
      target,
      body: { kind: "bytes", bytes, mediaType },
    });
    await response.body?.cancel();
    const stored = parseDigest(response.headers.get("Docker-Content-Digest") ?? "");
    if (
      stored !== null &&
      stored !== manifest.digest &&
      algorithmOf(stored) === algorithmOf(manifest.digest)
    ) {
      throw new ClientError("mismatch", `the registry stored ${stored}; wanted ${manifest.digest}`, {
        operation: request.operation,
        wanted: manifest.digest,
        got: stored,
      });
    }
    const confirmed = (response.headers.get("OCI-Tag") ?? "").split(",").map((tag) => tag.trim());
    return { tags: confirmed, knowsSubject: response.headers.has("OCI-Subject") };
  }

  /** Removes a tag, or a manifest with all its tags; false: it was not there. Some registries remove by digest alone. */
  async deleteManifest(reference: string, { signal }: IoOptions = {}): Promise<boolean> {
    const request = this.#about(reference, { method: "DELETE", verb: "delete", signal });
    return await this.#delete(request);
  }

  async deleteBlob(digest: Digest, { signal }: IoOptions = {}): Promise<boolean> {
    const request = this.#about(digest, { method: "DELETE", verb: "delete", kind: "blobs", signal });
    return await this.#delete(request);
  }

  async headBlob(digest: Digest, { signal }: IoOptions = {}): Promise<BlobRef | null> {
    const request = this.#about(digest, { method: "HEAD", verb: "look for", kind: "blobs", signal });
    const response = await this.#connection.send({ ...request, expected: [404] });
    if (response.status === 404) return null;
    return { digest, size: Number(response.headers.get("Content-Length") ?? 0) };
  }

  /** The question of a pusher: it needs the right to push, as what follows does. */
  async hasBlob(blob: BlobRef, { signal }: IoOptions = {}): Promise<boolean> {
    const request = this.#about(blob.digest, { method: "HEAD", verb: "look for", kind: "blobs", signal });
    const response = await this.#connection.send({ ...request, scopes: this.#pushScopes(), expected: [404] });
    return response.status !== 404;
  }

  async openBlob(
    blob: BlobRef,
    options: IoOptions & { readonly offset?: number } = {},
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | null> {
    const { offset = 0, signal } = options;
    const request = this.#about(blob.digest, { method: "GET", verb: "pull", kind: "blobs", signal });
    return await openBlob({ connection: this.#connection, request, blob, offset });
  }

  /** OCI Distribution Specification, "Mounting a blob from another repository": only within one registry. */
  async mountBlob(blob: BlobRef, source: ContentSource, { signal }: IoOptions = {}): Promise<boolean> {
    if (
      !(source instanceof Repository) ||
      source.#connection !== this.#connection ||
      source.name === this.name
    )
      return false;
    const place = {
      ...this.#uploads(`mount ${this.#nameOf(blob.digest)}`),
      scopes: [...this.#pushScopes(), repositoryScope(source.name, "pull")],
    };
    const query = new URLSearchParams({ mount: blob.digest, from: source.name });
    const response = await askForUpload(place, { query: `?${query}`, signal });
    if (response.status === 201) return true;
    this.#opened.set(
      blob.digest,
      new UploadSession(this.#uploads(`push ${this.#nameOf(blob.digest)}`), response),
    );
    return false;
  }

  async putBlob(blob: BlobRef, open: OpenBytes, options: PutBlobOptions = {}): Promise<void> {
    const session = this.#opened.get(blob.digest) ?? null;
    this.#opened.delete(blob.digest);
    const isThere = () => this.hasBlob(blob, options);
    await uploadBlob(this.#uploads(`push ${this.#nameOf(blob.digest)}`), {
      blob,
      open,
      session,
      isThere,
      canStream: this.#canStream,
      options,
    });
  }

  /** Opens an upload whose digest is not known yet. */
  async startUpload({
    algorithm,
    signal,
  }: IoOptions & { readonly algorithm?: DigestAlgorithm } = {}): Promise<UploadSession> {
    const place = this.#uploads(`push to ${this.label}`);
    return await startUpload(place, { ...(algorithm === undefined ? {} : { algorithm }), signal });
  }

  /** OCI Distribution Specification, "Listing Tags". */
  async *tags(options: PageOptions = {}): AsyncGenerator<string, void, void> {
    const target = pagePath(this.#path("tags/list"), options);
    const request: ApiRequest = {
      method: "GET",
      target,
      scopes: [repositoryScope(this.name, "pull")],
      operation: `list ${this.label}`,
      signal: options.signal,
    };
    for await (const value of listPages(this.#connection, request)) yield* textsOf(value, "tags");
  }

  /** Manifests whose subject is `digest`, from the registry or from the fallback tag. */
  async *referrers(
    digest: Digest,
    { artifactType, signal }: IoOptions & { readonly artifactType?: string | undefined } = {},
  ): AsyncGenerator<Descriptor, void, void> {
    const query = artifactType === undefined ? "" : `?artifactType=${encodeURIComponent(artifactType)}`;
    const request: ApiRequest = {
      method: "GET",
      target: `${this.#path(`referrers/${digest}`)}${query}`,
      scopes: [repositoryScope(this.name, "pull")],
      operation: `list referrers of ${this.#nameOf(digest)}`,
      signal,
    };
    yield* listReferrers(this, { connection: this.#connection, request, digest, artifactType });
  }

  async #delete(request: ApiRequest): Promise<boolean> {
    const response = await this.#connection.send({ ...request, expected: [404] });
    await response.body?.cancel();
    return response.status !== 404;
  }

  /** A request about a manifest or a blob, with the rights that its method needs. */
  #about(reference: string, { method, verb, kind = "manifests", signal }: Errand): ApiRequest {
    const actions = method === "PUT" ? ["pull", "push"] : method === "DELETE" ? ["delete", "pull"] : ["pull"];
    return {
      method,
      target: this.#path(`${kind}/${encodeURIComponent(reference).replaceAll("%3A", ":")}`),
      scopes: [repositoryScope(this.name, ...actions)],
      operation: `${verb} ${this.#nameOf(reference)}`,
      signal,
    };
  }

  #uploads(operation: string) {
    return {
      connection: this.#connection,
      path: this.#path("blobs/uploads/"),
      scopes: this.#pushScopes(),
      operation,
    };
  }

  #pushScopes() {
    return [repositoryScope(this.name, "pull", "push")];
  }

  #path(below: string): string {
    return `/v2/${this.name}/${below}`;
  }

  #nameOf(reference: string): string {
    return `${this.label}${reference.includes(":") ? "@" : ":"}${reference}`;
  }
}
