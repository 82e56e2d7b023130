import { ClientError } from "@stowage/client/client-error";
import { isArchiveErrorCode } from "@stowage/client/archive/archive-error";
import {
  importArchive,
  type ImportPort,
  type OpenUpload,
  type SizedBytes,
} from "@stowage/client/archive/import-archive";
import type { RawManifest } from "@stowage/client/content";
import type { Digest, DigestAlgorithm } from "@stowage/oci/digest";
import { RegistryError } from "@stowage/oci/errors";
import type { Reference } from "@stowage/oci/reference";
import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Tag } from "@stowage/oci/tag";
import type { Identity } from "../auth/caller.ts";
import type { Blobs } from "./blobs.ts";
import type { ImportMemory, ImportShare } from "./import-memory.ts";
import type { Manifests, StoredManifest } from "./manifests.ts";
import type { UploadRef, Uploads } from "./uploads.ts";

export interface ImportImage {
  readonly caller: Identity;
  readonly repository: RepositoryName;
  readonly reference: Reference;
  /** More tags for the image. */
  readonly tags: readonly Tag[];
  /** Which of several: a name that the archive has for it, or its digest. */
  readonly image: string | null;
  readonly archive: AsyncIterable<Uint8Array>;
  /** Told when the sender has to wait, which is not its fault, and when it need not any more. */
  readonly onWait: (isWaiting: boolean) => void;
}

/** The rules that an import goes through, those of any push. */
export interface ImportRules {
  readonly uploads: Uploads;
  readonly blobs: Blobs;
  readonly manifests: Manifests;
  readonly memory: ImportMemory;
}

/**
 * Stores an image from an archive as a push of its parts would, with upload sessions that are open until the archive has
 * ended: of a refused one nothing is left.
 * @throws RegistryError MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN, MANIFEST_UNKNOWN, DIGEST_INVALID, SIZE_INVALID, TAG_IMMUTABLE, TOOMANYREQUESTS, those of uploads
 */
export async function importImage(rules: ImportRules, request: ImportImage): Promise<StoredManifest> {
  const { reference, image, repository, caller } = request;
  using memory = rules.memory.share(caller.name);
  const port = new RegistryPort(rules, request, memory);
  const wanted = {
    image,
    repository,
    digest: reference.kind === "digest" ? reference.digest : null,
    tag: reference.kind === "tag" ? reference.tag : null,
  };
  try {
    const { digest } = await importArchive(request.archive, port, wanted);
    return port.stored ?? { digest, subject: null };
  } catch (error) {
    throw asRefusal(error);
  }
}

class RegistryPort implements ImportPort {
  /** The image, once it is there. */
  stored: StoredManifest | null = null;
  readonly #rules: ImportRules;
  readonly #request: ImportImage;
  readonly #memory: ImportShare;

  constructor(rules: ImportRules, request: ImportImage, memory: ImportShare) {
    this.#rules = rules;
    this.#request = request;
    this.#memory = memory;
  }

  keep(bytes: number): void {
    this.#memory.take(bytes);
  }

  async hasBlob(digest: Digest): Promise<boolean> {
    const { repository } = this.#request;
    try {
      await this.#rules.blobs.require(repository, digest, { forPush: true });
      return true;
    } catch (error) {
      if (error instanceof RegistryError && error.code === "BLOB_UNKNOWN") return false;
      throw error;
    }
  }

  async upload(algorithm: DigestAlgorithm, { size, bytes }: SizedBytes): Promise<OpenUpload> {
    const { caller, repository, onWait } = this.#request;
    const { uploads } = this.#rules;
    const ref = await uploads.start(caller, repository, { algorithm, digest: null });
    const cancel = () => uploads.cancel(ref);
    try {
      // When the last piece is there all are synced.
      const body = refusing(bytes, () => onWait(true));
      requireOwn(ref, await uploads.append(ref, { body, range: null, length: size }));
      onWait(false);
      const digest = await uploads.digestSoFar(ref);
      const finish = async () => requireOwn(ref, await uploads.finish(ref, digest, null));
      return { digest, finish, cancel };
    } catch (error) {
      await cancel().catch(() => undefined);
      throw error;
    }
  }

  async admit({ digest }: RawManifest): Promise<void> {
    const { repository, reference, tags } = this.#request;
    const all = reference.kind === "tag" ? [reference.tag, ...tags] : tags;
    await this.#rules.manifests.requireTaggable(repository, digest, all);
  }

  async putManifest({ bytes, digest, mediaType }: RawManifest, isRoot: boolean): Promise<void> {
    const { caller, repository, reference, tags } = this.#request;
    const place = isRoot ? { reference, tags } : { reference: { kind: "digest", digest } as const, tags: [] };
    const put = { caller, repository, ...place, contentType: mediaType, bytes };
    const stored = await this.#rules.manifests.put(put);
    if (isRoot) this.stored = stored;
  }
}

/** Nobody else knows of these sessions. */
function requireOwn({ id }: UploadRef, { kind }: { readonly kind: string }): void {
  if (kind === "out-of-order") throw new Error(`upload ${id} of an import was continued by somebody else`);
}

/** The bytes of a file; what is wrong with the archive is thrown as what it is, not as an upload that ended early. */
async function* refusing(
  bytes: AsyncGenerator<Uint8Array, void, void>,
  onEnd: () => void,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* bytes;
  } catch (error) {
    throw asRefusal(error);
  }
  onEnd();
}

function asRefusal(error: unknown): unknown {
  if (!(error instanceof ClientError)) return error;
  const code = isArchiveErrorCode(error.code) ? error.code : "MANIFEST_INVALID";
  return new RegistryError(code, { message: error.message, cause: error });
}
