import type { RegistryProcess } from "../support/registry-process.ts";
import type { Content } from "./images.ts";
import { OCI_INDEX, OCI_MANIFEST } from "./images.ts";
import { parseManifest } from "./support.ts";

/**
 * Puts content into the registry by plain HTTP, so that a client can pull what it did not push itself: blobs
 * first, then manifests from the leaves up, the root under `tag`. `authorization` is the header, where one is needed.
 */
export async function uploadContent(
  registry: Pick<RegistryProcess, "url">,
  repository: string,
  { descriptor, blobs }: Content,
  tag: string,
  authorization?: string,
): Promise<void> {
  const base = `${registry.url}/v2/${repository}`;
  const manifests = [];
  const signedIn: Record<string, string> =
    authorization === undefined ? {} : { Authorization: authorization };
  for (const { digest, bytes } of blobs) {
    const mediaType = manifestTypeOf(bytes);
    if (mediaType !== null) {
      manifests.push({ digest, bytes, mediaType });
      continue;
    }
    await requireCreated(`${base}/blobs/uploads/?digest=${digest}`, {
      method: "POST",
      headers: signedIn,
      body: bytes,
    });
  }
  for (const { digest, bytes, mediaType } of manifests.reverse()) {
    const reference = digest === descriptor.digest ? tag : digest;
    const request = { method: "PUT", headers: { ...signedIn, "Content-Type": mediaType }, body: bytes };
    await requireCreated(`${base}/manifests/${reference}`, request);
  }
}

function manifestTypeOf(bytes: Uint8Array): string | null {
  if (bytes[0] !== "{".charCodeAt(0)) return null;
  const { mediaType } = parseManifest(bytes);
  return mediaType === OCI_INDEX || mediaType === OCI_MANIFEST ? mediaType : null;
}

async function requireCreated(url: string, request: RequestInit): Promise<void> {
  const response = await fetch(url, request);
  if (response.status !== 201) {
    throw new Error(`${request.method} ${url}: ${response.status} ${await response.text()}`);
  }
  await response.bytes();
}
