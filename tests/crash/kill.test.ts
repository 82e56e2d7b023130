import { describe, expect, test } from "bun:test";
import { blobOf } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { pushUntilRefused, Random, SEED } from "./load.ts";
import { Client, findBroken, Ledger, LONG, say, send } from "./support.ts";

const ROUNDS = LONG ? 200 : 10;
const PUSHERS = 4;
/** Some layers are larger than a staging buffer, and so go past the page cache in part. */
const LAYER_BYTES_MAX = 900_000;

describe("kill -9 under push load", () => {
  test(
    "everything that was acknowledged before a kill is there after it (D1-D4)",
    async () => {
      say(`seed ${SEED}, ${ROUNDS} rounds`);
      const random = new Random(SEED);
      await using registry = await RegistryProcess.start();
      const ledgers: Ledger[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const ledger = new Ledger();
        ledgers.push(ledger);
        await loadUntilKilled(registry, ledger, { round, random });
        await registry.start();
        // A server that was killed is in the middle of something; whoever comes first must find it ready.
        expect((await send(`${registry.url}/readyz`))?.status).toBe(200);
        expect(await findBroken(registry, ledger)).toEqual([]);
        expect(ledger.refusals).toEqual([]);
      }
      for (const ledger of ledgers) expect(await findBroken(registry, ledger)).toEqual([]);
      const sum = (of: (ledger: Ledger) => number) => ledgers.reduce((total, each) => total + of(each), 0);
      say(
        `acknowledged ${sum((each) => each.count)} requests: ${sum((each) => each.blobs.size)} blobs, ` +
          `${sum((each) => each.manifests.size)} references, ${sum((each) => each.gone.size)} deletions, ` +
          `${sum((each) => each.sessions.size)} open uploads; lost 0`,
      );
    },
    60_000 + ROUNDS * 10_000,
  );
});

interface Round {
  readonly round: number;
  readonly random: Random;
}

async function loadUntilKilled(
  registry: RegistryProcess,
  ledger: Ledger,
  { round, random }: Round,
): Promise<void> {
  const shared = blobOf(random.bytes(random.between(1, LAYER_BYTES_MAX)));
  const pushers = Array.from({ length: PUSHERS }, async (_, at) => {
    // Repositories live through several rounds, and all pushers of a round begin with the same blob.
    const client = new Client(registry, `kill/r${(round + at) % (PUSHERS + 1)}`, ledger);
    const own = new Random(random.between(1, 0x7fffffff));
    if (await client.pushBlob(shared, at % 2 === 0)) await pushUntilRefused(client, own, LAYER_BYTES_MAX);
  });
  await Promise.race([ledger.reaches(random.between(1, 150)), Promise.all(pushers)]);
  // Between two answers, not only right behind one.
  await Bun.sleep(random.between(0, 8));
  await registry.kill("SIGKILL");
  await Promise.all(pushers);
}
