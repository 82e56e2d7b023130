import { type Digest, parseDigest } from "@stowage/oci/digest";
import { quote } from "@stowage/oci/reference";
import { parseRepositoryName, type RepositoryName } from "@stowage/oci/repository-name";
import { parseTag, type Tag } from "@stowage/oci/tag";
import { ClientError } from "./client-error.ts";

/** An image as people write it: `[registry/]repository[:tag][@digest]`. */
export interface ImageReference {
  /** Host with its port, as it is written; `docker.io` when none is. */
  readonly registry: string;
  readonly repository: RepositoryName;
  readonly tag: Tag | null;
  readonly digest: Digest | null;
}

export const DOCKER_HUB = "docker.io";

/** Longest text that is looked at, in characters: a host, a name, a tag and a digest of 512 bits. */
const REFERENCE_LENGTH_MAX = 1_024;

/** A name or an address of version 4, or one of version 6 in brackets; and a port. */
const REGISTRY =
  /^(?:(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;

/**
 * Reads a reference by Docker's rules (distribution, "reference"): the first component is a registry when it has a dot or a
 * colon or is `localhost`; otherwise the image is Docker Hub's, where a name of one component is in `library/`. Unlike docker
 * nothing becomes `latest` here. Null when the text is no reference.
 */
export function parseImageReference(text: string): ImageReference | null {
  if (text.length > REFERENCE_LENGTH_MAX) return null;
  const at = text.indexOf("@");
  const digest = at === -1 ? null : parseDigest(text.slice(at + 1));
  if (at !== -1 && digest === null) return null;
  const named = at === -1 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(":");
  // `localhost:5000` alone has a tag as well: docker reads it as an image of Docker Hub.
  const hasTag = colon > named.lastIndexOf("/");
  const tag = hasTag ? parseTag(named.slice(colon + 1)) : null;
  if (hasTag && tag === null) return null;
  const place = splitRegistry(hasTag ? named.slice(0, colon) : named);
  const repository = place === null ? null : parseRepositoryName(place.path);
  if (place === null || repository === null) return null;
  // Docker refuses it: in its commands such a name is an image id.
  if (place.registry === DOCKER_HUB && /^(?:library\/)?[0-9a-f]{64}$/.test(repository)) return null;
  return { registry: place.registry, repository, tag, digest };
}

/** @throws ClientError of kind `invalid` */
export function requireImageReference(text: string): ImageReference {
  const reference = parseImageReference(text);
  if (reference !== null) return reference;
  throw new ClientError(
    "invalid",
    `invalid reference ${quote(text)}: wanted [REGISTRY/]REPOSITORY[:TAG][@DIGEST], for example localhost:5000/team/app:1.0`,
  );
}

/** Docker Hub has three names. */
export function usualName(registry: string): string {
  return registry.replace(/^(?:index|registry-1)\.(?=docker\.io$)/, "");
}

/** Whether `text` can be a registry's address: a host, and perhaps a port. */
export function isRegistryHost(text: string): boolean {
  // The form alone lets ports and numbers pass that no address has.
  return text.length <= REFERENCE_LENGTH_MAX && REGISTRY.test(text) && URL.canParse(`https://${text}`);
}

/** The reference in full: what {@link parseImageReference} reads as the same again. */
export function formatImageReference({ registry, repository, tag, digest }: ImageReference): string {
  return `${registry}/${repository}${tag === null ? "" : `:${tag}`}${digest === null ? "" : `@${digest}`}`;
}

/** What is asked of the registry: the digest when both are given, as docker does; null: neither is. */
export function targetOf({ tag, digest }: ImageReference): string | null {
  return digest ?? tag;
}

function splitRegistry(text: string): { readonly registry: string; readonly path: string } | null {
  const slash = text.indexOf("/");
  const first = slash === -1 ? "" : text.slice(0, slash);
  const isRegistry = first === "localhost" || /[.:[\]A-Z]/.test(first);
  if (isRegistry && !isRegistryHost(first)) return null;
  const registry = isRegistry ? usualName(first) : DOCKER_HUB;
  const path = isRegistry ? text.slice(slash + 1) : text;
  return { registry, path: registry === DOCKER_HUB && !path.includes("/") ? `library/${path}` : path };
}
