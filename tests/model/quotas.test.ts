import { expect, test } from "bun:test";
import { blobOf, imageOf, seededBytes, type TestImage } from "../support/content.ts";
import { Random } from "../support/random.ts";
import { TestApp } from "../support/test-app.ts";

const SEED = Number(process.env.STOWAGE_SEED ?? 1);
const LONG = process.env.STOWAGE_LONG === "1";
const WORLDS = LONG ? 200 : 4;
const STEPS = 250;
const HOUR_MS = 3_600_000;
const NAMESPACES = ["", "team", "team/a", "other"] as const;
const REPOSITORIES = ["team", "team/a", "team/a/b", "team2", "team-x", "other/c"] as const;

const image = (seed: number): TestImage =>
  imageOf([blobOf(seededBytes(500 + 100 * (seed % 5), seed))], { annotations: { seed: String(seed) } });

const path = (namespace: string) => `/api/v1/quotas/${namespace === "" ? "-" : namespace}`;

async function setLimits(app: TestApp, random: Random): Promise<void> {
  const limits = {
    bytes: random.below(12_000),
    repositories: random.below(6),
    tags: random.below(12),
  };
  await app.request("PUT", path(random.pick(NAMESPACES)), {
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(limits),
  });
}

/** One operation of somebody, which may be refused. */
async function step(app: TestApp, random: Random, uploads: string[]): Promise<void> {
  const repository = random.pick(REPOSITORIES);
  const wanted = image(random.below(8));
  const tag = `v${random.below(4)}`;
  const [layer] = wanted.layers;
  if (layer === undefined) throw new Error("an image without a layer");
  const base = `/v2/${repository}`;
  const actions: readonly (() => Promise<unknown>)[] = [
    () => app.pushImage(repository, tag, wanted),
    () => app.pushImage(repository, tag, wanted),
    () => app.pushImage(repository, wanted.manifest.digest, wanted),
    () => app.pushManifest(repository, tag, wanted),
    () => app.request("POST", `${base}/blobs/uploads/?mount=${layer.digest}`),
    () => app.request("DELETE", `${base}/manifests/${tag}`),
    () => app.request("DELETE", `${base}/manifests/${wanted.manifest.digest}`),
    () => app.request("DELETE", `${base}/blobs/${layer.digest}`),
    () => app.request("DELETE", `/api/v1/repositories/${repository}`),
    () => app.request("POST", `/api/v1/deletions/${1 + random.below(60)}/undo`),
    () => app.request("POST", `/api/v1/deletions/${1 + random.below(60)}/purge`),
    async () => {
      const started = await app.request("POST", `${base}/blobs/uploads/`);
      if (started.status === 202) uploads.push(started.headers.get("Location") ?? "");
    },
    () => app.request("PATCH", random.pick(["/v2/x", ...uploads]), { body: layer.bytes.slice(0, 300) }),
    () =>
      app.request("PUT", `${random.pick(["/v2/x", ...uploads])}?digest=${layer.digest}`, {
        body: layer.bytes,
      }),
    () => app.request("DELETE", random.pick(["/v2/x", ...uploads])),
    () => setLimits(app, random),
    async () => {
      app.clockAhead += random.below(40) * HOUR_MS;
      await app.collect();
    },
  ];
  await random.pick(actions)();
}

/** Use as it is counted all along, and as counting anew finds it; limits are not passed by what was added. */
async function checkAll(app: TestApp, before: ReadonlyMap<string, readonly number[]>) {
  const now = new Map<string, readonly number[]>();
  for (const quota of await app.metadata.quotas.list({ after: null, entriesMax: 100 })) {
    const { namespace, limits, used } = quota;
    expect(await app.metadata.quotas.put(namespace, limits, { quotasMax: 100 })).toEqual(quota);
    const values = [used.bytes, used.repositories, used.tags];
    const maxima = [limits.bytes, limits.repositories, limits.tags];
    const was = before.get(namespace);
    for (const [at, value] of values.entries()) {
      expect(value).toBeGreaterThanOrEqual(0);
      const isMore = was !== undefined && value > (was[at] ?? 0);
      if (isMore) expect(value).toBeLessThanOrEqual(maxima[at] ?? Number.POSITIVE_INFINITY);
    }
    now.set(namespace, values);
  }
  return now;
}

test(`quotas count what is there, and nothing that is added passes one, in ${WORLDS} worlds of ${STEPS} steps`, async () => {
  for (let world = 0; world < WORLDS; world++) {
    const random = new Random(SEED + world);
    await using app = new TestApp({ allowSparse: world % 2 === 1 });
    const uploads: string[] = [];
    let before: ReadonlyMap<string, readonly number[]> = new Map();
    for (let at = 0; at < STEPS; at++) {
      await step(app, random, uploads);
      before = await checkAll(app, before);
    }
  }
}, 120_000);
