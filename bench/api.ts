import type { TestBlob, TestImage } from "../tests/support/content.ts";

/** Media types that a registry may answer a manifest with; distribution refuses OCI ones that are not asked for. */
export const ACCEPT = "application/vnd.oci.image.manifest.v1+json";

/** Opens an upload session and resolves with the address of the one PUT that ends it. */
export async function startUpload(url: string, repository: string, digest: string): Promise<string> {
  const response = await send(`${url}/v2/${repository}/blobs/uploads/`, { method: "POST" }, 202);
  const location = new URL(response.headers.get("Location") ?? "", url);
  location.searchParams.set("digest", digest);
  return location.href;
}

export async function pushBlob(url: string, repository: string, blob: TestBlob): Promise<void> {
  const location = await startUpload(url, repository, blob.digest);
  const headers = { "Content-Type": "application/octet-stream" };
  await send(location, { method: "PUT", body: blob.bytes, headers }, 201);
}

export async function mountBlob(url: string, from: string, to: string, digest: string): Promise<void> {
  const query = new URLSearchParams({ mount: digest, from });
  await send(`${url}/v2/${to}/blobs/uploads/?${query}`, { method: "POST" }, 201);
}

export async function putManifest(
  url: string,
  repository: string,
  image: TestImage,
  tag: string,
): Promise<void> {
  const headers = { "Content-Type": image.mediaType };
  const body = image.manifest.bytes;
  await send(`${url}/v2/${repository}/manifests/${tag}`, { method: "PUT", body, headers }, 201);
}

/** As clients do it: the blobs first, then the manifest. */
export async function pushImage(
  url: string,
  repository: string,
  image: TestImage,
  tag: string,
): Promise<void> {
  for (const blob of [image.config, ...image.layers]) await pushBlob(url, repository, blob);
  await putManifest(url, repository, image, tag);
}

/** @throws Error unless the answer has the wanted status */
async function send(url: string, init: RequestInit, status: number): Promise<Response> {
  const response = await fetch(url, init);
  const text = await response.text();
  if (response.status === status) return response;
  throw new Error(`${init.method} "${url}" gave ${response.status}, wanted ${status}: ${text}`);
}
