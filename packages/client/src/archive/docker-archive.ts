import { MANIFEST_DESCRIPTORS_MAX } from "@stowage/oci/manifest";
import { MEDIA_TYPE } from "@stowage/oci/media-type";
import { quote } from "@stowage/oci/reference";
import type { RawManifest } from "../content.ts";
import { digestOf } from "../hasher.ts";
import type { ArchiveContents, ArchivedFile } from "./archive-contents.ts";
import { archiveError, badArchive, missingContent } from "./archive-error.ts";
import { requireJson, requireObject, requireTexts } from "./archive-json.ts";
import { packingOf } from "./unpack.ts";

export const DOCKER_MANIFEST_FILE = "manifest.json";

/** One image of a docker-archive's `manifest.json`. */
export interface DockerImage {
  readonly config: ArchivedFile;
  readonly layers: readonly ArchivedFile[];
  readonly names: readonly string[];
}

/**
 * The images that `manifest.json` names; empty when there is no such file.
 * @throws ClientError when one has no config or layer in the archive
 */
export function readDockerImages(contents: ArchiveContents): readonly DockerImage[] {
  const file = contents.get(DOCKER_MANIFEST_FILE);
  if (file === null) return [];
  const list = requireJson(file);
  if (!Array.isArray(list)) throw badArchive(`"${DOCKER_MANIFEST_FILE}" is not a list`);
  return list.map((value: unknown, at) => readImage(contents, value, `"${DOCKER_MANIFEST_FILE}"[${at}]`));
}

function readImage(contents: ArchiveContents, value: unknown, where: string): DockerImage {
  const entry = requireObject(value, where);
  if (typeof entry.Config !== "string") throw badArchive(`${where}.Config is missing`);
  const layers = requireTexts(entry.Layers, `${where}.Layers`);
  if (layers.length > MANIFEST_DESCRIPTORS_MAX) throw badArchive(`${where} has ${layers.length} layers`);
  const require = (path: string) => {
    const file = contents.get(path.replace(/^\.\//, ""));
    if (file === null) throw missingContent(`${where} names ${quote(path)}, which is not in it`);
    return file;
  };
  return {
    config: require(entry.Config),
    layers: layers.map(require),
    names: requireTexts(entry.RepoTags, `${where}.RepoTags`),
  };
}

/** Media types of a layer by how it is packed; those of Docker have no zstd. */
const DOCKER_LAYERS: ReadonlyMap<string | null, string> = new Map([
  [null, "application/vnd.docker.image.rootfs.diff.tar"],
  ["gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip"],
]);
const OCI_LAYERS: ReadonlyMap<string | null, string> = new Map([
  [null, "application/vnd.oci.image.layer.v1.tar"],
  ["gzip", "application/vnd.oci.image.layer.v1.tar+gzip"],
  ["zstd", "application/vnd.oci.image.layer.v1.tar+zstd"],
]);

/**
 * The manifest of an image that has none: a docker-archive does not keep it. Docker's schema 2, whose configs these are (OCI's
 * says nothing of health checks, for example), the same bytes each time. Layers stay as they are, mostly not compressed.
 * @throws ClientError when config and layers do not belong together
 */
export function makeManifest(image: DockerImage): RawManifest {
  requireSameLayers(image);
  const packings = image.layers.map((layer) => packingOf(layer.start));
  const isDocker = !packings.includes("zstd");
  const types = isDocker ? DOCKER_LAYERS : OCI_LAYERS;
  const mediaType = isDocker ? MEDIA_TYPE.dockerManifest : MEDIA_TYPE.ociManifest;
  const describe = (type: string, { digest, size }: ArchivedFile) => ({ mediaType: type, size, digest });
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType,
    config: describe(isDocker ? MEDIA_TYPE.dockerConfig : MEDIA_TYPE.ociConfig, image.config),
    layers: image.layers.map((layer, at) => {
      const type = types.get(packings[at] ?? null);
      if (type === undefined) {
        throw badArchive(
          `the layer ${quote(layer.path)} is packed with ${packings[at]}; wanted gzip or zstd`,
        );
      }
      return describe(type, layer);
    }),
  });
  const bytes = new TextEncoder().encode(text);
  return { mediaType, bytes, digest: digestOf(bytes) };
}

/** The config says which layers the image has by the digests of what they unpack to. */
function requireSameLayers({ config, layers }: DockerImage): void {
  const where = `the config ${quote(config.path)}`;
  const { rootfs } = requireObject(requireJson(config), where);
  const diffIds = requireTexts(requireObject(rootfs, `${where}.rootfs`).diff_ids, `${where}.rootfs.diff_ids`);
  if (diffIds.length !== layers.length) {
    throw badArchive(`${where} has ${diffIds.length} layers, "${DOCKER_MANIFEST_FILE}" ${layers.length}`);
  }
  for (const [at, layer] of layers.entries()) {
    // What a packed layer unpacks to is known to whoever unpacks it.
    if (packingOf(layer.start) !== null || diffIds[at] === layer.digest) continue;
    throw archiveError(
      "mismatch",
      "DIGEST_INVALID",
      `archive refused: the digest of the layer ${quote(layer.path)} is ${layer.digest}; wanted ${quote(diffIds[at] ?? "")} as ${where} says`,
    );
  }
}
