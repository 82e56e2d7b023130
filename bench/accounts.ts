import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DURATIONS_DEFAULT, type Metadata, type NewAccount } from "@stowage/server/metadata/metadata";
import { SqliteMetadata } from "@stowage/server/metadata/sqlite/sqlite-metadata";
import { blobOf, imageOf, seededBytes } from "../tests/support/content.ts";
import { WORKSPACE } from "../tests/support/registry-process.ts";
import { ServerProcess } from "./server-process.ts";

/** Password of every account that a benchmark makes. */
export const PASSWORD = "correct horse battery";

/** A manifest that everybody may pull, once it is pushed. */
export const MANIFEST_PATH = "/v2/bench/app/manifests/v1";

const MAIN = join(WORKSPACE, "packages", "cli", "src", "main.ts");

/** A registry in a folder of its own below `folder`. */
export function registryNamed(name: string, folder: string, args: readonly string[]): ServerProcess {
  return new ServerProcess({
    name,
    folder: join(folder, name),
    readyPath: "/livez",
    command: async ({ port, dataDir }) => [
      process.execPath,
      MAIN,
      "serve",
      ...["--addr", `127.0.0.1:${port}`, "--data-dir", dataDir, ...args],
    ],
  });
}

/** Opens the metadata of a registry that has not started yet. */
export async function openMetadata(folder: string, name: string): Promise<SqliteMetadata> {
  const dataDir = join(folder, name, "data");
  await mkdir(dataDir, { recursive: true });
  const onFatal = (error: unknown) => {
    throw error;
  };
  const options = { now: Date.now, onFatal, durations: DURATIONS_DEFAULT };
  return new SqliteMetadata(join(dataDir, "stowage.sqlite"), options);
}

/** Makes accounts with PASSWORD, whose hash has the parameters of those that the server makes. */
export async function createAccounts({ accounts }: Metadata, names: readonly string[]): Promise<void> {
  const passwordHash = await Bun.password.hash(PASSWORD, {
    algorithm: "argon2id",
    memoryCost: 19_456,
    timeCost: 2,
  });
  const base: Omit<NewAccount, "name"> = {
    kind: "user",
    passwordHash,
    isAdmin: false,
    groups: [],
    grants: [],
    description: "",
    createdBy: null,
    expiresAt: null,
  };
  for (const name of names) await accounts.create({ ...base, name }, { onlyFirst: false });
}

/** Pushes what is pulled from MANIFEST_PATH. */
export async function pushAs(url: string, authorization: string | undefined): Promise<void> {
  const headers: Record<string, string> = authorization === undefined ? {} : { Authorization: authorization };
  const image = imageOf([blobOf(seededBytes(1_000, 1))]);
  for (const { bytes, digest } of [image.config, ...image.layers]) {
    const path = `${url}/v2/bench/app/blobs/uploads/?digest=${digest}`;
    await requireStatus(await fetch(path, { method: "POST", body: bytes, headers }), 201);
  }
  const put = {
    method: "PUT",
    body: image.manifest.bytes,
    headers: { ...headers, "Content-Type": image.mediaType },
  };
  await requireStatus(await fetch(`${url}${MANIFEST_PATH}`, put), 201);
}

export function basic(name: string, password: string = PASSWORD): string {
  return `Basic ${btoa(`${name}:${password}`)}`;
}

async function requireStatus(response: Response, status: number): Promise<void> {
  const text = await response.text();
  if (response.status !== status) throw new Error(`"${response.url}" gave ${response.status}: ${text}`);
}
