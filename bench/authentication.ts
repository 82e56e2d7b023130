import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AccessTokens } from "@stowage/server/auth/access-tokens";
import { DURATIONS_DEFAULT, type NewAccount } from "@stowage/server/metadata/metadata";
import { SqliteMetadata } from "@stowage/server/metadata/sqlite/sqlite-metadata";
import { blobOf, imageOf, seededBytes } from "../tests/support/content.ts";
import { WORKSPACE } from "../tests/support/registry-process.ts";
import { ACCEPT } from "./api.ts";
import { requestsPerSecond } from "./load.ts";
import { ServerProcess } from "./server-process.ts";

/**
 * What it costs to know who asks: `npm run bench:auth`. A manifest is pulled by tag from a registry without
 * authentication, and from one with it, in every way that clients have. Medians of several rounds, all in one run.
 */

const ROUNDS = 7;
const SECONDS = 2;
const CONNECTIONS = 16;
const PATH = "/v2/bench/app/manifests/v1";

/** The authenticated pull keeps at least this share of the rate of the anonymous one. */
const WANTED = 0.7;

const PASSWORD = "correct horse battery";
const MAIN = join(WORKSPACE, "packages", "cli", "src", "main.ts");

interface Way {
  readonly name: string;
  readonly server: ServerProcess;
  readonly authorization?: string;
}

const folder = await mkdtemp(join(tmpdir(), "stowage-bench-auth-"));
await using open = serverNamed("open", ["--auth", "none"]);
await using closed = serverNamed("closed", ["--auth", "accounts"]);
const accessToken = await prepareAccounts(join(folder, "closed", "data"));
for (const server of [open, closed]) await server.start();
await push(open.url, undefined);
const password = `Basic ${btoa(`alice:${PASSWORD}`)}`;
await push(closed.url, password);
const answer = await fetch(`${closed.url}/token?service=stowage&scope=repository:bench/app:pull`, {
  headers: { Authorization: password },
});
const { token } = (await answer.json()) as { readonly token: string };
const ways: readonly Way[] = [
  { name: "no authentication", server: open },
  { name: "anonymous, by rule", server: closed },
  { name: "registry token", server: closed, authorization: `Bearer ${token}` },
  { name: "password (Basic)", server: closed, authorization: password },
  { name: "access token (Basic)", server: closed, authorization: `Basic ${btoa(`ci:${accessToken}`)}` },
  { name: "access token (Bearer)", server: closed, authorization: `Bearer ${accessToken}` },
];
const samples = new Map<string, number[]>(ways.map(({ name }) => [name, []]));
for (let round = 0; round <= ROUNDS; round++) {
  for (const { name, server, authorization } of ways) {
    const rate = await requestsPerSecond({
      url: `${server.url}${PATH}`,
      method: "GET",
      accept: ACCEPT,
      connections: CONNECTIONS,
      seconds: SECONDS,
      ...(authorization === undefined ? {} : { authorization }),
    });
    // The first round warms up.
    if (round > 0) samples.get(name)?.push(rate);
  }
}
const base = median(samples.get("anonymous, by rule") ?? []);
const untouched = median(samples.get("no authentication") ?? []);
console.log(`${"manifest by tag".padEnd(24)} requests/s   of anonymous   of no authentication`);
for (const [name, rates] of samples) {
  const rate = median(rates);
  const share = rate / base;
  const verdict =
    name === "registry token"
      ? share >= WANTED
        ? `  target ${WANTED}: reached`
        : `  target ${WANTED}: MISSED`
      : "";
  console.log(
    `${name.padEnd(24)} ${rate.toFixed(0).padStart(10)}   ${share.toFixed(2).padStart(12)}   ${(rate / untouched).toFixed(2).padStart(20)}${verdict}`,
  );
}
await rm(folder, { recursive: true, force: true });

function serverNamed(name: string, args: readonly string[]): ServerProcess {
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

/** An account, rules, and an access token, which is given back. */
async function prepareAccounts(dataDir: string): Promise<string> {
  await mkdir(dataDir, { recursive: true });
  const onFatal = (error: unknown) => {
    throw error;
  };
  const options = { now: Date.now, onFatal, durations: DURATIONS_DEFAULT };
  await using metadata = new SqliteMetadata(join(dataDir, "stowage.sqlite"), options);
  const account: NewAccount = {
    name: "alice",
    kind: "user",
    passwordHash: await Bun.password.hash(PASSWORD),
    isAdmin: false,
    groups: [],
    grants: [],
    description: "",
    createdBy: null,
    expiresAt: null,
  };
  await metadata.accounts.create(account, { onlyFirst: false });
  // As many rules as a company has, so that finding the right one is part of it.
  const others = Array.from({ length: 100 }, (_, at) => ({
    who: ["group:everyone", `user:u${at}`],
    repositories: [`team-${at}/**`],
    may: ["writer"],
  }));
  const own = [
    { who: ["anonymous"], repositories: ["bench/*"], may: ["reader"] },
    { who: ["user:alice"], repositories: ["bench/**"], may: ["writer"] },
  ];
  const access = { groups: { everyone: ["user:alice"] }, rules: [...others, ...own] };
  await metadata.documents.put("access", JSON.stringify(access), null);
  const label = "bench";
  const wanted = { kind: "personal", account: "alice", label, limit: null, expiresAt: null } as const;
  return (await new AccessTokens(metadata.tokens, Date.now).create(wanted)).secret;
}

async function push(url: string, authorization: string | undefined): Promise<void> {
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
  await requireStatus(await fetch(`${url}${PATH}`, put), 201);
}

async function requireStatus(response: Response, status: number): Promise<void> {
  const text = await response.text();
  if (response.status !== status) throw new Error(`"${response.url}" gave ${response.status}: ${text}`);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
