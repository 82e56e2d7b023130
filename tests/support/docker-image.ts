import { blobOf, type TestBlob, type TestImage } from "./content.ts";

export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";

/** One step of an image's history, oldest first. */
export interface TestStep {
  readonly created?: string;
  readonly created_by?: string;
  readonly empty_layer?: boolean;
}

export interface DockerImageParts {
  readonly layers: readonly TestBlob[];
  readonly history: readonly TestStep[];
  /** More members of the config. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** An image as `docker push` writes it: schema 2, indented by three spaces, no newline at the end. */
export function dockerImage({ layers, history, config = {} }: DockerImageParts): TestImage {
  const rootfs = { type: "layers", diff_ids: layers.map(({ digest }) => digest) };
  const configBlob = blobOf(
    JSON.stringify({ architecture: "amd64", os: "linux", ...config, rootfs, history }),
  );
  const describe = (mediaType: string, { bytes, digest }: TestBlob) => ({
    mediaType,
    size: bytes.byteLength,
    digest,
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: DOCKER_MANIFEST,
    config: describe("application/vnd.docker.container.image.v1+json", configBlob),
    layers: layers.map((layer) => describe("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)),
  };
  return {
    config: configBlob,
    layers,
    manifest: blobOf(JSON.stringify(manifest, null, 3)),
    mediaType: DOCKER_MANIFEST,
  };
}

/** Pushes an image to a registry with a socket. @throws Error unless it takes everything */
export async function pushTo(
  target: { readonly url: string; readonly headers?: Readonly<Record<string, string>> },
  repository: string,
  tag: string,
  image: TestImage,
): Promise<void> {
  const { url, headers = {} } = target;
  const send = async (method: string, path: string, body: Uint8Array<ArrayBuffer>, type: string) => {
    const sent = { ...headers, "Content-Type": type };
    const answer = await fetch(`${url}/v2/${repository}/${path}`, { method, body, headers: sent });
    if (answer.status !== 201) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  };
  for (const { bytes, digest } of [image.config, ...image.layers]) {
    await send("POST", `blobs/uploads/?digest=${digest}`, bytes, "application/octet-stream");
  }
  await send("PUT", `manifests/${tag}`, image.manifest.bytes, image.mediaType);
}
