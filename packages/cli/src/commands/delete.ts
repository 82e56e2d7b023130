import { ClientError } from "@stowage/client/client-error";
import {
  formatImageReference,
  type ImageReference,
  requireImageReference,
} from "@stowage/client/image-reference";
import type { RegistryClient } from "@stowage/client/registry-client";
import type { Digest } from "@stowage/oci/digest";
import { UsageError } from "../arguments.ts";
import { askYes } from "../ask-yes.ts";
import { openClient } from "../client.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { nameOf, unknownManifest } from "../image.ts";
import { tagsOfDigest } from "../tag-details.ts";

/** Tags that are named in a message. */
const NAMED_MAX = 10;

export const DELETE: Command = {
  about:
    "Deletes an image: its manifest, with every tag that names it. `stowage untag` takes a tag away and leaves the image. When other tags name the same image it says which and does nothing, unless --all-tags is given.",
  places: [{ name: "REF", help: "REPO:TAG or REPO@DIGEST", completes: "reference", takesRest: true }],
  options: {
    "all-tags": { value: null, help: "also when other tags name the same image" },
    "ignore-missing": { value: null, help: "an image that is not there is no error" },
    yes: { value: null, short: "y", help: "do not ask" },
  },
  shared: ["output", "registry"],
  examples: [
    { line: "delete localhost:5000/team/app:gone --yes" },
    { line: "delete localhost:5000/team/app:2.0 --all-tags --ignore-missing --yes" },
  ],
  run,
};

interface Doomed {
  readonly reference: ImageReference;
  readonly digest: Digest;
  readonly tags: readonly string[];
}

async function run(call: Call): Promise<number> {
  const { args, output, signal } = call;
  const references = args.places.map((text) => {
    const reference = requireImageReference(text);
    if (reference.tag !== null || reference.digest !== null) return reference;
    throw new UsageError(`"${text}" is a whole repository; wanted REPO:TAG or REPO@DIGEST`);
  });
  const client = await openClient(
    call,
    references.map(({ registry }) => registry),
  );
  const doomed: Doomed[] = [];
  for (const reference of references) {
    const found = await look(call, client, reference);
    if (found !== null && !doomed.some((other) => isSame(other, found))) doomed.push(found);
  }
  if (doomed.length > 0) await confirm(call, doomed);
  async function* deleted(): AsyncGenerator<Doomed, void, void> {
    for (const one of doomed) {
      if (await remove(client, one, signal)) yield one;
      else if (!args.has("ignore-missing"))
        throw unknownManifest(`delete ${nameOf(one.reference, one.digest)}`);
    }
  }
  await output.list(deleted(), {
    id: ({ reference, digest }) => nameOf(reference, digest),
    value: ({ reference, digest, tags }) => ({ reference: nameOf(reference, digest), digest, tags }),
  });
  return EXIT.ok;
}

function isSame(a: Doomed, b: Doomed): boolean {
  const [one, other] = [a.reference, b.reference];
  return a.digest === b.digest && one.registry === other.registry && one.repository === other.repository;
}

/** What would go; null: it is not there. @throws CommandError when tags would go that nobody named */
async function look(
  { args, signal }: Call,
  client: RegistryClient,
  reference: ImageReference,
): Promise<Doomed | null> {
  const repository = client.repository(reference);
  const name = formatImageReference(reference);
  const head = await repository.headManifest(reference.digest ?? reference.tag ?? "", { signal });
  if (head === null) {
    if (args.has("ignore-missing")) return null;
    throw unknownManifest(`delete ${name}`);
  }
  const { digest } = head;
  const tags = await tagsOfDigest(client, { repository, digest, signal });
  const others = tags.filter((tag) => tag !== reference.tag || reference.digest !== null);
  const isNamed = (tag: string) =>
    args.places
      .map(requireImageReference)
      .some((other) => other.tag === tag && other.repository === reference.repository);
  const unnamed = others.filter((tag) => !isNamed(tag));
  if (unnamed.length > 0 && !args.has("all-tags")) {
    throw new CommandError(
      `delete ${name}: ${listTags(unnamed)} ${unnamed.length === 1 ? "names" : "name"} the same image, ${digest}`,
      {
        code: EXIT.conflict,
        hint:
          reference.tag === null
            ? "--all-tags deletes it with its tags"
            : `\`stowage untag ${name}\` takes this tag away alone; --all-tags deletes the image with all of them`,
      },
    );
  }
  return { reference, digest, tags };
}

function listTags(tags: readonly string[]): string {
  const shown = tags.slice(0, NAMED_MAX).join(", ");
  return tags.length > NAMED_MAX ? `${shown} and ${tags.length - NAMED_MAX} more` : shown;
}

/** @throws CommandError */
async function confirm(call: Call, doomed: readonly Doomed[]): Promise<void> {
  if (call.args.has("yes")) return;
  if (!call.world.stdin.isTerminal) {
    throw new UsageError("nobody can be asked here; wanted --yes");
  }
  for (const { reference, digest, tags } of doomed) {
    const named =
      tags.length === 0 ? "" : ` with ${tags.length === 1 ? "its tag" : "its tags"} ${listTags(tags)}`;
    call.warn(`deletes ${nameOf(reference, digest)}${named}`);
  }
  if (!(await askYes(call.world))) throw new CommandError("nothing was deleted");
}

async function remove(
  client: RegistryClient,
  { reference, digest }: Doomed,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return await client.repository(reference).deleteManifest(digest, { signal });
  } catch (error) {
    if (error instanceof ClientError && error.status === 405) {
      throw new CommandError(error.message, {
        hint: `${reference.registry} does not let anybody delete; distribution wants REGISTRY_STORAGE_DELETE_ENABLED=true`,
      });
    }
    throw error;
  }
}
