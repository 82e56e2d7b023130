import { expect, test } from "bun:test";
import { type Attempt, LoginThrottle } from "@stowage/server/http/login-throttle";
import { FakeClock } from "../support/fake-clock.ts";

const REQUEST = { signal: new AbortController().signal };
const HERE = "192.0.2.1";

function open() {
  const clock = new FakeClock(1e6);
  const throttle = new LoginThrottle({ monotonic: clock.now, wakeAfter: clock.wakeAfter, seed: 1 });
  /** What becomes of a login: "checked", or "429" when no password was looked at. Time goes on as long as it takes. */
  async function login(address: string | null, account: string, isRight: boolean): Promise<string> {
    const begun = throttle.begin({ address, account }, REQUEST);
    const outcome = begun.then(
      (attempt) => {
        if (isRight) attempt.succeeded();
        else attempt.failed();
        return "checked";
      },
      (error: unknown) => (error as { status: unknown }).status,
    );
    await clock.advance(0);
    if (clock.alarms > 0) await clock.advance(1_000);
    return String(await outcome);
  }
  return { clock, throttle, login };
}

const times = async (count: number, run: () => Promise<string>) => {
  const results: string[] = [];
  for (let at = 0; at < count; at++) results.push(await run());
  return results;
};

test("ten failures in a minute and the address is refused, whatever account it tries", async () => {
  const { clock, login } = open();
  let name = 0;
  const guess = () => login(HERE, `user${name++}`, false);
  expect(await times(10, guess)).toEqual(Array<string>(10).fill("checked"));
  expect(await login(HERE, "alice", true)).toBe("429");
  expect(await login("192.0.2.2", "alice", true)).toBe("checked");
  await clock.advance(60_000);
  await clock.advance(3_750);
  expect(await login(HERE, "alice", true)).toBe("checked");
});

test("an address is wrong at most ten times in any minute, for as long as it tries", async () => {
  const { clock, login } = open();
  const failed: number[] = [];
  for (let at = 0; at < 2_000; at++) {
    if ((await login(HERE, `user${at}`, false)) === "checked") failed.push(clock.now());
    await clock.advance(200);
  }
  failed.forEach((at, index) => {
    const later = failed[index + 10];
    if (later !== undefined) expect(later - at).toBeGreaterThan(60_000);
  });
  expect(failed.length).toBeGreaterThan(50);
});

test("an account that is attacked from everywhere is slow, and open to its owner", async () => {
  const { clock, login } = open();
  for (let at = 0; at < 50; at++) await login(`198.51.100.${at}`, "alice", false);
  const before = clock.now();
  expect(await login(HERE, "alice", true)).toBe("checked");
  expect(clock.now() - before).toBe(1_000);
  const other = clock.now();
  expect(await login(HERE, "bob", true)).toBe("checked");
  expect(clock.now()).toBe(other);
});

test("logins that are slowed never keep others out: the longest waits no more when there are too many", async () => {
  const { clock, throttle, login } = open();
  for (let at = 0; at < 10; at++) await login(`198.51.100.${at}`, "alice", false);
  let entered = 0;
  const attack = (address: string) =>
    throttle.begin({ address, account: "alice" }, REQUEST).then(
      () => {
        entered += 1;
      },
      () => undefined,
    );
  for (let at = 0; at < 300; at++) void attack(`203.0.113.${at}`);
  await clock.advance(0);
  expect(entered).toBe(44);
  void attack("203.0.113.299");
  await clock.advance(0);
  expect([entered, clock.alarms]).toEqual([44, 256]);
  await clock.advance(1_000);
  expect([entered, clock.alarms]).toEqual([300, 0]);
});

test("a login that succeeds takes back its own mistakes, and no others of its address", async () => {
  const { login } = open();
  await times(5, () => login(HERE, "alice", false));
  expect(await login(HERE, "alice", true)).toBe("checked");
  await times(9, () => login(HERE, "alice", false));
  expect(await login(HERE, "alice", true)).toBe("checked");
  // Whoever has an account cannot wash off what he tried on those of others.
  let checked = 0;
  for (let at = 0; at < 40; at++) {
    if ((await login(HERE, `victim${at}`, false)) === "checked") checked += 1;
    await login(HERE, "mallory", true);
  }
  expect(checked).toBe(10);
});

test("many at once are no more than ten: the others wait for the outcome", async () => {
  const { clock, throttle } = open();
  const running: Attempt[] = [];
  const refused: unknown[] = [];
  const begin = (account: string) =>
    throttle.begin({ address: HERE, account }, REQUEST).then(
      (attempt) => running.push(attempt),
      (error: unknown) => refused.push(error),
    );
  for (let at = 0; at < 100; at++) void begin(`user${at}`);
  await clock.advance(0);
  // Ten are checked and 64 wait.
  expect([running.length, refused.length]).toEqual([10, 26]);
  for (const attempt of running.splice(0, 4)) attempt.failed();
  await clock.advance(0);
  expect(running).toHaveLength(6);
  for (const attempt of running.splice(0, 3)) attempt.succeeded();
  await clock.advance(0);
  expect(running).toHaveLength(6);
  for (const attempt of running.splice(0, 1)) attempt[Symbol.dispose]();
  await clock.advance(0);
  expect(running).toHaveLength(6);
  for (const attempt of running.splice(0, 6)) attempt.failed();
  await clock.advance(0);
  expect([running.length, refused.length]).toEqual([0, 26 + 60]);
});

test("many right ones at once from behind one address all get in", async () => {
  const { clock, throttle } = open();
  let succeeded = 0;
  for (let at = 0; at < 70; at++) {
    void throttle.begin({ address: HERE, account: `user${at}` }, REQUEST).then(async (attempt) => {
      await new Promise((resolve) => setImmediate(resolve));
      attempt.succeeded();
      succeeded += 1;
    });
  }
  for (let turn = 0; turn < 40; turn++) await clock.advance(0);
  expect(succeeded).toBe(70);
});

test("an attempt counts once, and one that was given up counts for nothing", async () => {
  const { throttle, login } = open();
  for (let at = 0; at < 30; at++) {
    using _ = await throttle.begin({ address: HERE, account: "alice" }, REQUEST);
  }
  const twice = await throttle.begin({ address: HERE, account: "alice" }, REQUEST);
  twice.failed();
  twice.failed();
  twice.succeeded();
  expect(await times(9, () => login(HERE, "bob", false))).toEqual(Array<string>(9).fill("checked"));
  expect(await login(HERE, "bob", false)).toBe("429");
});

test("a client that goes away while it waits is forgotten", async () => {
  const { clock, throttle, login } = open();
  for (let at = 0; at < 10; at++) await login(`198.51.100.${at}`, "alice", false);
  const gone = new AbortController();
  const slowed = throttle.begin({ address: HERE, account: "alice" }, gone).catch(() => "refused");
  await clock.advance(0);
  gone.abort();
  expect(await slowed).toBe("refused");
  expect(clock.alarms).toBe(0);
  const held: Attempt[] = [];
  for (let at = 0; at < 10; at++) {
    held.push(await throttle.begin({ address: HERE, account: `user${at}` }, REQUEST));
  }
  const leaves = new AbortController();
  const queued = throttle.begin({ address: HERE, account: "bob" }, leaves).catch(() => "refused");
  leaves.abort();
  expect(await queued).toBe("refused");
  for (const attempt of held) attempt[Symbol.dispose]();
  expect(await login(HERE, "bob", true)).toBe("checked");
});

test("the Unix socket is nobody's address", async () => {
  const { login } = open();
  const results = await times(30, () => login(null, "alice", false));
  expect(results).toEqual(Array<string>(30).fill("checked"));
});
