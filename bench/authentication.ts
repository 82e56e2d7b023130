import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AccessTokens } from "@stowage/server/auth/access-tokens";
import { basic, createAccounts, MANIFEST_PATH, openMetadata, pushAs, registryNamed } from "./accounts.ts";
import { ACCEPT } from "./api.ts";
import { requestsPerSecond } from "./load.ts";
import type { ServerProcess } from "./server-process.ts";

/**
 * What it costs to know who asks: `npm run bench:auth`. A manifest is pulled by tag from a registry without
 * authentication, and from one with it, in every way that clients have. Medians of several rounds, all in one run.
 */

const ROUNDS = 7;
const SECONDS = 2;
const CONNECTIONS = 16;

/** The authenticated pull keeps at least this share of the rate of the anonymous one. */
const WANTED = 0.7;

interface Way {
  readonly name: string;
  readonly server: ServerProcess;
  readonly authorization?: string;
}

const folder = await mkdtemp(join(tmpdir(), "stowage-bench-auth-"));
await using open = registryNamed("open", folder, ["--auth", "none"]);
await using closed = registryNamed("closed", folder, ["--auth", "accounts"]);
const accessToken = await prepare();
for (const server of [open, closed]) await server.start();
await pushAs(open.url, undefined);
const password = basic("alice");
await pushAs(closed.url, password);
const answer = await fetch(`${closed.url}/token?service=stowage&scope=repository:bench/app:pull`, {
  headers: { Authorization: password },
});
const { token } = (await answer.json()) as { readonly token: string };
const ways: readonly Way[] = [
  { name: "no authentication", server: open },
  { name: "anonymous, by rule", server: closed },
  { name: "registry token", server: closed, authorization: `Bearer ${token}` },
  { name: "password (Basic)", server: closed, authorization: password },
  { name: "access token (Basic)", server: closed, authorization: basic("ci", accessToken) },
  { name: "access token (Bearer)", server: closed, authorization: `Bearer ${accessToken}` },
];
const samples = new Map<string, number[]>(ways.map(({ name }) => [name, []]));
for (let round = 0; round <= ROUNDS; round++) {
  for (const { name, server, authorization } of ways) {
    const rate = await requestsPerSecond({
      url: `${server.url}${MANIFEST_PATH}`,
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

/** An account, rules, and an access token, which is given back. */
async function prepare(): Promise<string> {
  await using metadata = await openMetadata(folder, "closed");
  await createAccounts(metadata, ["alice"]);
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

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
