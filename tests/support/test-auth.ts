import { Administration } from "@stowage/server/auth/administration";
import { type Auth, type AuthOptions, createAuth, createDirectory } from "@stowage/server/auth/auth";
import type { HtpasswdFile } from "@stowage/server/auth/htpasswd";
import { KeyedHash } from "@stowage/server/auth/keyed-hash";
import type { FetchJson } from "@stowage/server/auth/outbound";
import { WorkloadTokens } from "@stowage/server/auth/workload-tokens";
import type { Metadata } from "@stowage/server/metadata/metadata";

/** What a test says of authentication; the rest has defaults. */
export type TestAuthOptions = Partial<Omit<AuthOptions, "metadata" | "directory" | "keyedHash">> & {
  readonly htpasswd?: HtpasswdFile;
  readonly fetchJson?: FetchJson;
};

interface Clocks {
  readonly now: () => number;
  readonly monotonic: () => number;
}

/** Nobody is held back, unless a test says so. */
const OPEN_GATE = { succeeded: () => undefined, failed: () => undefined, [Symbol.dispose]: () => undefined };

/** No test reaches the network, unless it says so. */
const fetchNothing: FetchJson = async (url) => ({ ok: false, problem: `${url} is not asked in tests` });

/** The parts of authentication as `compose-auth.ts` puts them together; `auth` is null unless `wanted` is said. */
export function createTestAuth(
  metadata: Metadata,
  wanted: TestAuthOptions | undefined,
  { now, monotonic }: Clocks,
): { readonly auth: Auth | null; readonly administration: Administration } {
  const { htpasswd = null, fetchJson = fetchNothing, ...rest } = wanted ?? {};
  const keyedHash = new KeyedHash();
  const directory = createDirectory(
    { metadata, htpasswd, passwordChecksMax: 2, wakeAfter: (_ms, wake) => wake(), now, monotonic },
    keyedHash,
  );
  const { documents, accounts, tokens } = metadata;
  const workloads = new WorkloadTokens({
    documents,
    accounts: directory.accounts,
    fetchJson,
    now,
    monotonic,
    report: () => undefined,
  });
  const administration = new Administration({ directory, workloads, accounts, tokens, now });
  if (wanted === undefined) return { auth: null, administration };
  const auth = createAuth({
    metadata,
    directory,
    keyedHash,
    service: "stowage",
    tokenSeconds: 900,
    external: null,
    workloads,
    gate: { begin: async () => OPEN_GATE },
    now,
    ...rest,
  });
  return { auth, administration };
}
