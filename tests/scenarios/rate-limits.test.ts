import { expect, test } from "bun:test";
import { RegistryError } from "@stowage/oci/errors";
import { RateLimits, type RateLimitRules } from "@stowage/server/http/rate-limits";
import { FakeClock } from "../support/fake-clock.ts";
import { Random } from "../support/random.ts";

const NONE: RateLimitRules = { requestsPerAddress: null, requestsPerAccount: null, pulls: null };
const REQUEST = { signal: new AbortController().signal };
const HUB = { count: 100, windowMs: 6 * 3_600_000 };

function limitsOf(rules: Partial<RateLimitRules>) {
  const clock = new FakeClock(5_000);
  const { now: monotonic, wakeAfter } = clock;
  const limits = new RateLimits({ rules: { ...NONE, ...rules }, monotonic, wakeAfter, seed: 1 });
  return { clock, limits };
}

/** Notes what becomes of each request: "in" with the time, or the seconds of its Retry-After. */
function recorder(clock: FakeClock) {
  const seen: string[] = [];
  const note = (name: string, enter: () => Promise<void> | null) => {
    const refused = (error: unknown) => {
      if (!(error instanceof RegistryError)) throw error;
      seen.push(`${name} ${error.status} ${error.code} after ${error.headers["Retry-After"]}`);
    };
    try {
      const waiting = enter();
      if (waiting === null) seen.push(`${name} in at ${clock.now()}`);
      else waiting.then(() => seen.push(`${name} in at ${clock.now()}`), refused);
    } catch (error) {
      refused(error);
    }
  };
  return { seen, note };
}

test("limits that are not set let everybody in", () => {
  const { limits } = limitsOf({});
  const puller = { account: null, address: "192.0.2.1" };
  expect(limits.byAddress("192.0.2.1", REQUEST)).toBeNull();
  expect(limits.byAccount("alice", REQUEST)).toBeNull();
  expect(limits.pull(puller, REQUEST)).toBeNull();
  expect(limits.pullHeaders(puller)).toBeNull();
});

test("the Unix socket has no address and is not limited", () => {
  const { limits } = limitsOf({ requestsPerAddress: { count: 1, windowMs: 1_000 }, pulls: HUB });
  for (let at = 0; at < 200; at++) expect(limits.byAddress(null, REQUEST)).toBeNull();
  expect(limits.pull({ account: null, address: null }, REQUEST)).toBeNull();
  expect(limits.pullHeaders({ account: null, address: null })).toBeNull();
});

test("pulls answer as Docker Hub does, by account or by address", () => {
  const { limits } = limitsOf({ pulls: HUB });
  const anonymous = { account: null, address: "192.0.2.1" };
  for (let at = 0; at < 24; at++) limits.pull(anonymous, REQUEST);
  expect(limits.pullHeaders(anonymous)).toEqual({
    "ratelimit-limit": "100;w=21600",
    "ratelimit-remaining": "76;w=21600",
    "docker-ratelimit-source": "192.0.2.1",
  });
  const alice = { account: "alice", address: "192.0.2.1" };
  expect(limits.pullHeaders(alice)).toMatchObject({
    "ratelimit-remaining": "100;w=21600",
    "docker-ratelimit-source": "alice",
  });
  const disguised = { account: "192.0.2.1", address: "192.0.2.9" };
  expect(limits.pullHeaders(disguised)).toMatchObject({ "ratelimit-remaining": "100;w=21600" });
  for (let at = 0; at < 76; at++) limits.pull(anonymous, REQUEST);
  const refusal = expect(() => limits.pull(anonymous, REQUEST));
  refusal.toThrow("too many requests; try again in");
  refusal.toThrow(
    expect.objectContaining({
      code: "TOOMANYREQUESTS",
      headers: expect.objectContaining({ "ratelimit-remaining": "0;w=21600" }),
    }),
  );
});

test("IPv6 addresses of one /64 are one customer, and IPv4 in IPv6 is IPv4", () => {
  const { limits } = limitsOf({ pulls: { count: 2, windowMs: 3_600_000 } });
  const at = (address: string) => ({ account: null, address });
  limits.pull(at("2001:db8:1:2::1"), REQUEST);
  limits.pull(at("2001:db8:1:2:ffff::9"), REQUEST);
  expect(limits.pullHeaders(at("2001:db8:1:2::77"))).toMatchObject({
    "ratelimit-remaining": "0;w=3600",
    "docker-ratelimit-source": "2001:db8:1:2::/64",
  });
  expect(limits.pullHeaders(at("2001:db8:1:3::1"))).toMatchObject({ "ratelimit-remaining": "2;w=3600" });
});

test("who is over by little waits in order; who is over by more is told when to come back", async () => {
  const { clock, limits } = limitsOf({ requestsPerAddress: { count: 3, windowMs: 1_600 } });
  const { seen, note } = recorder(clock);
  for (let at = 1; at <= 8; at++) note(`r${at}`, () => limits.byAddress("a", REQUEST));
  await clock.advance(10_000);
  expect(seen).toEqual([
    "r1 in at 5000",
    "r2 in at 5000",
    "r3 in at 5000",
    // More than three in 1.6 s: their turn would come later than two seconds from now.
    "r7 429 TOOMANYREQUESTS after 2",
    "r8 429 TOOMANYREQUESTS after 2",
    "r4 in at 6700",
    "r5 in at 6700",
    "r6 in at 6700",
  ]);
});

test("Retry-After says when there is room, in whole seconds", async () => {
  const { clock, limits } = limitsOf({ pulls: { count: 2, windowMs: 3_600_000 } });
  const { seen, note } = recorder(clock);
  const pull = () => limits.pull({ account: "a", address: null }, REQUEST);
  for (const name of ["r1", "r2", "r3"]) note(name, pull);
  const [, seconds = ""] = /after (\d+)$/.exec(seen[2] ?? "") ?? [];
  expect(Number(seconds)).toBeGreaterThan(3_600);
  expect(Number(seconds)).toBeLessThanOrEqual(3_825);
  await clock.advance(Number(seconds) * 1_000);
  note("r4", pull);
  expect(seen.at(-1)).toBe(`r4 in at ${clock.now()}`);
});

test("16 wait of one key and 256 in all", async () => {
  const rule = { count: 100, windowMs: 1_000 };
  const { clock, limits } = limitsOf({ requestsPerAddress: rule, requestsPerAccount: rule });
  const { seen, note } = recorder(clock);
  for (let key = 0; key < 20; key++) {
    for (let at = 0; at < 120; at++) note(`k${key}`, () => limits.byAddress(`k${key}`, REQUEST));
  }
  for (let at = 0; at < 101; at++) note("account", () => limits.byAccount("a", REQUEST));
  const refused = (name: string) => seen.filter((line) => line.startsWith(`${name} 429`)).length;
  expect(["k0", "k15", "k16", "k19", "account"].map(refused)).toEqual([4, 4, 20, 20, 1]);
  await clock.advance(2_000);
  expect(seen.filter((line) => line.includes("in at 6"))).toHaveLength(256);
  expect(clock.alarms).toBe(0);
  await clock.advance(2_000);
  for (let key = 0; key < 16; key++) {
    for (let at = 0; at < 116; at++) note("again", () => limits.byAddress(`k${key}`, REQUEST));
  }
  await clock.advance(2_000);
  expect(seen.filter((line) => line.startsWith("again in"))).toHaveLength(16 * 116);
});

test("a request whose client goes away leaves its place to the next", async () => {
  const { clock, limits } = limitsOf({ requestsPerAddress: { count: 1, windowMs: 1_600 } });
  const { seen, note } = recorder(clock);
  const [gone, stays] = [new AbortController(), new AbortController()];
  note("r1", () => limits.byAddress("a", REQUEST));
  note("r2", () => limits.byAddress("a", gone));
  gone.abort();
  await clock.advance(1);
  note("r3", () => limits.byAddress("a", stays));
  note("r4", () => limits.byAddress("a", { signal: AbortSignal.abort() }));
  await clock.advance(1_800);
  stays.abort();
  await clock.advance(5_000);
  expect(seen).toEqual([
    "r1 in at 5000",
    "r2 429 TOOMANYREQUESTS after 2",
    expect.stringMatching(/^r4 429/),
    "r3 in at 6700",
  ]);
  expect(clock.alarms).toBe(0);
});

test("nobody overtakes who waits, though the machine is late to wake them", async () => {
  const { clock, limits } = limitsOf({ requestsPerAddress: { count: 1, windowMs: 1_600 } });
  const { seen, note } = recorder(clock);
  for (const name of ["r1", "r2"]) note(name, () => limits.byAddress("a", REQUEST));
  clock.skip(1_750);
  note("r3", () => limits.byAddress("a", REQUEST));
  await clock.advance(5_000);
  expect(seen).toEqual(["r1 in at 5000", "r3 429 TOOMANYREQUESTS after 1", "r2 in at 6750"]);
});

test("with waiting, too, never more than the count in any window, and nobody overtakes: 40 random loads", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Random(seed);
    const rule = { count: 1 + random.below(6), windowMs: 1_000 + random.below(600) };
    const { clock, limits } = limitsOf({ requestsPerAddress: rule });
    const { seen, note } = recorder(clock);
    for (let at = 0; at < 150; at++) {
      note(`r${at}`, () => limits.byAddress("a", REQUEST));
      await clock.advance(random.below(3) === 0 ? random.below(900) : 0);
    }
    await clock.advance(5_000);
    expect(seen).toHaveLength(150);
    const entered = seen.flatMap((line) => {
      const [, name, at] = /^r(\d+) in at (\d+)/.exec(line) ?? [];
      return at === undefined ? [] : [{ name: Number(name), at: Number(at) }];
    });
    expect(entered.map(({ name }) => name)).toEqual(
      entered.map(({ name }) => name).toSorted((a, b) => a - b),
    );
    entered.forEach(({ at }, index) => {
      const later = entered[index + rule.count];
      if (later !== undefined) expect(later.at - at).toBeGreaterThan(rule.windowMs);
    });
  }
});
