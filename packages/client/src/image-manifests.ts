import { isObject, ManifestProblem, requireDescriptor, type Descriptor } from "@stowage/oci/descriptor";
import { algorithmOf, type Digest, parseDigest } from "@stowage/oci/digest";
import { MANIFEST_BYTES_MAX } from "@stowage/oci/manifest";
import { isSchema1Type, MANIFEST_MEDIA_TYPES, parseMediaType } from "@stowage/oci/media-type";
import { jsonOf, readBytes } from "./answers.ts";
import { ClientError } from "./client-error.ts";
import type { ManifestHead, RawManifest } from "./content.ts";
import { digestOf } from "./hasher.ts";

/** Every type that is understood, the newest first. */
export const MANIFEST_ACCEPT = MANIFEST_MEDIA_TYPES.join(", ");

/** A manifest out of an answer, verified against the digest that was asked for, and the one that the answer names. */
export async function readManifest(
  response: Response,
  { reference, operation }: { readonly reference: string; readonly operation: string },
): Promise<RawManifest> {
  const bytes = await readBytes(response, { bytesMax: MANIFEST_BYTES_MAX, operation });
  const mediaType = typeOf(response, bytes);
  // Its digest is of a part of it, and its layers have no sizes.
  if (isSchema1Type(mediaType)) throw new ClientError("refused", "schema 1 is not understood", { operation });
  const said = parseDigest(response.headers.get("Docker-Content-Digest") ?? "");
  const wanted = parseDigest(reference) ?? said;
  const digest = digestOf(bytes, wanted === null ? "sha256" : algorithmOf(wanted));
  if (wanted !== null && digest !== wanted) {
    throw new ClientError("mismatch", `the bytes have the digest ${digest}; wanted ${wanted}`, {
      operation,
      wanted,
      got: digest,
    });
  }
  return { digest, bytes, mediaType };
}

/** What a HEAD says of a manifest; null when it does not say its digest, as old registries did. */
export function headOf(response: Response): ManifestHead | null {
  const digest = parseDigest(response.headers.get("Docker-Content-Digest") ?? "");
  if (digest === null) return null;
  const size = Number(response.headers.get("Content-Length") ?? Number.NaN);
  const mediaType = parseMediaType(response.headers.get("Content-Type") ?? "") ?? "";
  return { digest, mediaType, size: Number.isSafeInteger(size) ? size : null };
}

/** What refers to what: the members of a manifest, as far as they can be read. @throws ClientError when it is no manifest */
export interface ManifestParts {
  readonly kind: "image" | "index";
  readonly mediaType: string;
  readonly config: Descriptor | null;
  readonly layers: readonly Descriptor[];
  readonly manifests: readonly Descriptor[];
  readonly subject: Descriptor | null;
  readonly artifactType: string | null;
  readonly annotations: Readonly<Record<string, string>>;
}

/** @throws ClientError of kind `invalid`: another registry may have stored what no manifest is */
export function partsOf({ bytes, digest, mediaType }: RawManifest): ManifestParts {
  return partsIn(jsonOf(new TextDecoder().decode(bytes)), { mediaType, name: `the manifest ${digest}` });
}

/** As {@link partsOf}, of what was read already; `name` is for the message. */
export function partsIn(
  body: unknown,
  { mediaType, name }: { readonly mediaType: string; readonly name: string },
): ManifestParts {
  try {
    if (!isObject(body)) throw new ManifestProblem("it is no JSON object");
    const isIndex = Array.isArray(body.manifests);
    const annotations = isObject(body.annotations) ? body.annotations : {};
    return {
      kind: isIndex ? "index" : "image",
      mediaType,
      config: isObject(body.config) ? requireDescriptor(body.config, "config") : null,
      layers: descriptors(body.layers, "layers"),
      manifests: descriptors(body.manifests, "manifests"),
      subject: isObject(body.subject) ? requireDescriptor(body.subject, "subject") : null,
      artifactType:
        typeof body.artifactType === "string" && body.artifactType !== "" ? body.artifactType : null,
      annotations: Object.fromEntries(
        Object.entries(annotations).map(([key, value]) => [key, String(value)]),
      ),
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ClientError("invalid", `${name} cannot be read: ${why}`, { cause });
  }
}

/** A manifest made of an object; its bytes are what JSON.stringify gives. */
export function manifestFrom(value: unknown, mediaType: string): RawManifest {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return { mediaType, bytes, digest: digestOf(bytes) };
}

export function descriptorOf(manifest: RawManifest): {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
} {
  return { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.byteLength };
}

function descriptors(value: unknown, where: string): readonly Descriptor[] {
  if (!Array.isArray(value)) return [];
  return value.map((entry: unknown, at) => requireDescriptor(entry, `${where}[${at}]`));
}

/** The type of the answer, or where a registry serves files and says only `application/json` the manifest's own. */
function typeOf(response: Response, bytes: Uint8Array): string {
  const said = parseMediaType(response.headers.get("Content-Type") ?? "") ?? "application/json";
  if (said !== "application/json") return said;
  const own = jsonOf(new TextDecoder().decode(bytes));
  return isObject(own) && typeof own.mediaType === "string" ? own.mediaType : said;
}
