import { expect, test } from "bun:test";
import { blobOf, imageOf, seededBytes } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";

const PUSHERS = 50;
const LAYER_BYTES = 4_096;

interface Quota {
  readonly used: { readonly bytes: number; readonly repositories: number; readonly tags: number };
}

async function limit(
  registry: RegistryProcess,
  limits: Readonly<Record<string, number | null>>,
): Promise<Quota> {
  const response = await fetch(`${registry.url}/api/v1/quotas/team`, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(limits),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Quota;
}

async function quota(registry: RegistryProcess): Promise<Quota> {
  return (await (await fetch(`${registry.url}/api/v1/quotas/team`)).json()) as Quota;
}

/** Status of each of the pushers, who all begin at once. */
async function race(push: (at: number) => Promise<Response>): Promise<ReadonlyMap<number, number>> {
  const statuses = await Promise.all(
    Array.from({ length: PUSHERS }, async (_, at) => {
      const response = await push(at);
      await response.arrayBuffer();
      return response.status;
    }),
  );
  const counts = new Map<number, number>();
  for (const status of statuses) counts.set(status, (counts.get(status) ?? 0) + 1);
  return counts;
}

const layer = (at: number) => blobOf(seededBytes(LAYER_BYTES, at + 1));

test("fifty uploads at once: as many blobs come in as there is room for, whichever way they are sent", async () => {
  await using registry = await RegistryProcess.start();
  const uploads = (at: number) => `${registry.url}/v2/team/r${at % 5}/blobs/uploads/`;
  const inOneRequest = async (at: number) => {
    const { bytes, digest } = layer(at);
    return await fetch(`${uploads(at)}?digest=${digest}`, { method: "POST", body: bytes });
  };
  /** Sends so many bytes, and the others with the end of the upload. */
  const inTwo = (first: number) => async (at: number) => {
    const { bytes, digest } = layer(at);
    const started = await fetch(uploads(at), { method: "POST" });
    const location = started.headers.get("Location");
    if (started.status !== 202 || location === null) return started;
    const sent = await fetch(registry.url + location, { method: "PATCH", body: bytes.slice(0, first) });
    if (sent.status !== 202) return sent;
    const rest = first < LAYER_BYTES ? { body: bytes.slice(first) } : {};
    return await fetch(`${registry.url}${location}?digest=${digest}`, { method: "PUT", ...rest });
  };
  const ways = [
    { push: inOneRequest, isExact: true },
    { push: inTwo(LAYER_BYTES), isExact: true },
    // What takes room before it is whole may keep each other out; still none comes in too many.
    { push: inTwo(3_000), isExact: false },
  ];
  for (const { push, isExact } of ways) {
    for (const room of [7, 11]) {
      const { used } = await limit(registry, { bytes: null });
      await limit(registry, { bytes: used.bytes + room * LAYER_BYTES + 100 });
      const counts = await race((at) => push(used.bytes + room * PUSHERS + at));
      const accepted = counts.get(201) ?? 0;
      expect(accepted + (counts.get(403) ?? 0)).toBe(PUSHERS);
      if (isExact) expect(accepted).toBe(room);
      else expect(accepted).toBeLessThanOrEqual(room);
      const after = await quota(registry);
      expect(after.used.bytes).toBe(used.bytes + accepted * LAYER_BYTES);
      expect((await limit(registry, { bytes: null })).used).toEqual(after.used);
    }
  }
}, 60_000);

test("fifty mounts, repositories, tags and manifests at once: exactly as many as fit", async () => {
  await using registry = await RegistryProcess.start();
  const image = imageOf([layer(0)]);
  const push = async (repository: string, tag: string) => {
    const headers = { "Content-Type": image.mediaType };
    const url = `${registry.url}/v2/${repository}/manifests/${tag}`;
    return await fetch(url, { method: "PUT", headers, body: image.manifest.bytes });
  };
  for (const { bytes, digest } of [image.config, ...image.layers]) {
    for (const repository of ["other", "team/a"]) {
      const url = `${registry.url}/v2/${repository}/blobs/uploads/?digest=${digest}`;
      await fetch(url, { method: "POST", body: bytes });
    }
  }
  await limit(registry, { tags: 13 });
  expect(await race((at) => push("team/a", `v${at}`))).toEqual(
    new Map([
      [201, 13],
      [403, 37],
    ]),
  );
  await limit(registry, { repositories: 1 + 17 });
  const mount = (at: number) =>
    fetch(`${registry.url}/v2/team/m${at}/blobs/uploads/?mount=${layer(0).digest}&from=other`, {
      method: "POST",
    });
  expect(await race(mount)).toEqual(
    new Map([
      [201, 17],
      [403, 33],
    ]),
  );
  const { used } = await limit(registry, { bytes: null });
  await limit(registry, { bytes: used.bytes + 9 * LAYER_BYTES + 1 });
  expect((await race((at) => mount(1_000 + at))).get(201)).toBe(9);
  expect((await limit(registry, { bytes: null })).used).toEqual({
    bytes: used.bytes + 9 * LAYER_BYTES,
    repositories: 1 + 17 + 9,
    tags: 13,
  });
}, 60_000);
