import { realpathSync } from "node:fs";
import { join } from "node:path";
import { type Digest, hexOf } from "@stowage/oci/digest";
import { blobOf, digestOf, imageOf, seededBytes, type TestBlob } from "../support/content.ts";
import type { RegistryProcess } from "../support/registry-process.ts";
import type { Area } from "./data-folder.ts";
import { type Answer, Client, isContent, type Ledger, sessionOf } from "./support.ts";

/** More than one staging buffer, so that a part of it goes past the page cache. */
const LAYER = blobOf(seededBytes(1_300_000, 1));
const HALF = 100_000;
const IMAGE = imageOf([LAYER]);
const OLD = imageOf([blobOf(seededBytes(50_000, 2))]);
const MISMATCH = seededBytes(20_000, 3);
const MISMATCH_DIGEST = digestOf("something else");

/** One request of the push that is broken at each of its system calls. */
export interface Step {
  readonly name: string;
  /** The session that it is about, and the digest that its bytes get. */
  readonly session: string | null;
  readonly digest: Digest;
  readonly wanted: readonly number[];
  readonly run: (push: ScriptedPush) => Promise<Answer | null>;
}

/** Everything that changes the registry: chunked and whole uploads, a wrong digest, a known blob, deletions. */
export const STEPS: readonly Step[] = [
  post("layer", LAYER.digest),
  patch("first PATCH", (push) => push.client.patch(push.session("layer"), LAYER.bytes.slice(0, HALF))),
  patch("second PATCH", (push) => push.client.patch(push.session("layer"), LAYER.bytes.slice(HALF))),
  put("PUT without body", "layer", LAYER.digest, 201),
  post("mismatch", MISMATCH_DIGEST),
  put("PUT of a wrong digest", "mismatch", MISMATCH_DIGEST, 400, MISMATCH),
  post("known", OLD.config.digest),
  put("PUT of a known blob", "known", OLD.config.digest, 201, OLD.config.bytes),
  post("doomed", LAYER.digest),
  {
    ...{ name: "DELETE of an upload", session: "doomed", digest: LAYER.digest, wanted: [204] },
    run: (push) => push.client.cancel(push.session("doomed")),
  },
  {
    // 404: the push is repeated after a crash, and the first one got this far.
    ...{ name: "DELETE of a manifest", session: null, digest: LAYER.digest, wanted: [202, 404] },
    run: (push) => push.old.deleteManifest(OLD, "old"),
  },
  post("config", IMAGE.config.digest),
  put("PUT of a whole blob", "config", IMAGE.config.digest, 201, IMAGE.config.bytes),
  {
    ...{ name: "PUT of the manifest", session: "config", digest: IMAGE.config.digest, wanted: [201] },
    run: (push) => push.client.putManifest(IMAGE, "new"),
  },
];

/** A push, request by request, to a registry that already has something. */
export class ScriptedPush {
  readonly client: Client;
  readonly old: Client;
  readonly ledger: Ledger;
  readonly #registry: RegistryProcess;
  readonly #sessions = new Map<string, string>();

  constructor(registry: RegistryProcess, ledger: Ledger) {
    this.#registry = registry;
    this.ledger = ledger;
    this.client = new Client(registry, "crash/new", ledger);
    this.old = new Client(registry, "crash/old", ledger);
  }

  /** Makes the registry have something that must survive. */
  async prepare(): Promise<void> {
    if (!(await this.old.pushImage(OLD, "old"))) throw new Error("the first push was refused");
  }

  session(name: string): string {
    return this.#sessions.get(name) ?? "/no-session";
  }

  async open(name: string): Promise<Answer | null> {
    const answer = await this.client.post();
    const session = sessionOf(answer);
    if (session !== null) this.#sessions.set(name, session);
    return answer;
  }

  /** The files that a step works on. */
  paths(step: Step, area: Area): readonly string[] {
    const dataDir = realpathSync(this.#registry.dataDir);
    const id = step.session === null ? "none" : (this.session(step.session).split("/").at(-1) ?? "");
    const hex = hexOf(step.digest);
    const folder = join(dataDir, "blobs", "sha256", hex.slice(0, 2));
    switch (area) {
      case "database":
        return ["", "-wal", "-journal"].map((suffix) => join(dataDir, `stowage.sqlite${suffix}`));
      case "file":
        return [join(dataDir, "uploads", id), join(folder, `${hex}.${id}`)];
      case "folder":
        return [folder];
      case "root":
        return [dataDir, join(dataDir, "uploads")];
      default:
        return area satisfies never;
    }
  }

  /**
   * Goes on with the layer's upload as a client does that lost its connection: the status of the last request, or
   * null when there is no such upload.
   */
  async resume(): Promise<number | null> {
    const session = this.#sessions.get("layer");
    if (session === undefined) return null;
    const wasAt = this.ledger.sessions.get(session) ?? 0;
    const offset = await this.client.offset(session);
    // A session that ended successfully repeats its answer.
    if (offset === null) return (await this.client.finish(session, LAYER.digest))?.status ?? 0;
    if (offset < wasAt) throw new Error(`the upload went back from ${wasAt} to ${offset} bytes`);
    const rest = LAYER.bytes.slice(offset);
    const body = rest.byteLength === 0 ? undefined : rest;
    return (await this.client.finish(session, LAYER.digest, body))?.status ?? 0;
  }

  /** What can be read but is not whole, or should not be readable at all. */
  async findPartial(): Promise<readonly string[]> {
    const partial: string[] = [];
    const blobs: readonly TestBlob[] = [LAYER, IMAGE.config];
    const answers = await Promise.all(blobs.map(({ digest }) => this.#get(this.client.blobPath(digest))));
    answers.forEach((answer, at) => {
      const digest = blobs[at]?.digest ?? LAYER.digest;
      if (answer.status !== 404 && !isContent(answer, digest)) partial.push(`${digest}: ${answer.status}`);
    });
    const manifest = await this.#get(this.client.manifestPath("new"));
    if (manifest.status !== 404) {
      const isWhole =
        answers.every(({ status }) => status === 200) && isContent(manifest, IMAGE.manifest.digest);
      if (!isWhole) partial.push(`manifest: ${manifest.status} without all of its blobs`);
    }
    for (const digest of [MISMATCH_DIGEST, digestOf(MISMATCH)]) {
      const answer = await this.#get(this.client.blobPath(digest));
      if (answer.status !== 404) partial.push(`refused content ${digest}: ${answer.status}`);
    }
    return partial;
  }

  async #get(path: string): Promise<Answer> {
    const answer = await this.client.get(path);
    if (answer === null) throw new Error(`no answer to GET ${path}`);
    return answer;
  }
}

function post(session: string, digest: Digest): Step {
  return { name: `POST (${session})`, session, digest, wanted: [202], run: (push) => push.open(session) };
}

function patch(name: string, run: Step["run"]): Step {
  return { name, session: "layer", digest: LAYER.digest, wanted: [202], run };
}

function put(
  name: string,
  session: string,
  digest: Digest,
  wanted: number,
  body?: Uint8Array<ArrayBuffer>,
): Step {
  const run = (push: ScriptedPush) => push.client.finish(push.session(session), digest, body);
  return { name, session, digest, wanted: [wanted], run };
}
