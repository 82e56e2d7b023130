import { ClientError } from "@stowage/client/client-error";
import {
  formatImageReference,
  type ImageReference,
  requireImageReference,
  targetOf,
} from "@stowage/client/image-reference";
import { requirePlatform } from "@stowage/client/platform";
import type { RegistryClient } from "@stowage/client/registry-client";
import type { Repository } from "@stowage/client/repository";
import type { Digest } from "@stowage/oci/digest";
import type { Platform } from "@stowage/oci/descriptor";
import { type OptionSpecs, UsageError } from "./arguments.ts";
import { openClient } from "./client.ts";
import type { Call } from "./command.ts";

/** An image that somebody named, and the way to it. */
export interface NamedImage {
  readonly client: RegistryClient;
  readonly repository: Repository;
  readonly reference: ImageReference;
  /** Tag or digest; `latest` when neither was given. */
  readonly target: string;
  /** In full, for people: `docker.io/library/alpine:latest`. */
  readonly name: string;
}

/** Option of commands that look at one image of several. */
export const PLATFORM_OPTION: OptionSpecs = {
  platform: {
    value: "OS/ARCH",
    help: "image of an index, e.g. linux/arm64 (default linux/amd64, or the only one)",
  },
};

export async function openImage(call: Call, text: string): Promise<NamedImage> {
  const reference = requireImageReference(text);
  const client = await openClient(call, [reference.registry]);
  const target = targetOf(reference) ?? "latest";
  const name = nameOf(reference, target);
  return { client, reference, repository: client.repository(reference), target, name };
}

/** `host/repository:tag` or `host/repository@digest` */
export function nameOf(reference: Pick<ImageReference, "registry" | "repository">, target: string): string {
  return `${reference.registry}/${reference.repository}${target.includes(":") ? "@" : ":"}${target}`;
}

/** `REPO@DIGEST` @throws UsageError */
export function requireDigest(reference: ImageReference): Digest {
  if (reference.digest !== null) return reference.digest;
  throw new UsageError(`"${formatImageReference(reference)}" has no digest; wanted REPO@sha256:...`);
}

/** A repository without tag and digest. @throws UsageError, ClientError */
export function requireRepositoryName(text: string): ImageReference {
  const reference = requireImageReference(text);
  if (reference.tag === null && reference.digest === null) return reference;
  throw new UsageError(`"${text}" is an image; wanted a repository without tag and digest`);
}

export function platformOf({ args }: Pick<Call, "args">): Platform | null {
  const text = args.get("platform");
  return text === null ? null : requirePlatform(text);
}

/** What commands throw for something that is not there. */
export function unknownManifest(operation: string): ClientError {
  return new ClientError("not-found", "manifest unknown (MANIFEST_UNKNOWN, 404)", {
    status: 404,
    code: "MANIFEST_UNKNOWN",
    operation,
  });
}

export function unknownBlob(operation: string): ClientError {
  return new ClientError("not-found", "blob unknown (BLOB_UNKNOWN, 404)", {
    status: 404,
    code: "BLOB_UNKNOWN",
    operation,
  });
}
