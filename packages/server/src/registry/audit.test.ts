import { expect, test } from "bun:test";
import { parseRepositoryName } from "@stowage/oci/repository-name";
import type { AuditEntry } from "../metadata/metadata.ts";
import { SqliteMetadata } from "../metadata/sqlite/sqlite-metadata.ts";
import { Audit } from "./audit.ts";
import { AUDIT_ACTIONS, type AuditActor, type AuditDeed } from "./audit-entry.ts";

const A = parseRepositoryName("team/a");
if (A === null) throw new Error("no name");

const ALICE: AuditActor = {
  requestId: "r-1",
  caller: "alice",
  credential: { kind: "access-token", id: "AbCdEf123456" },
  address: "192.0.2.1",
  userAgent: "docker/29",
};
const ANYBODY = { ...ALICE, caller: null, credential: null };
const PUSH: AuditDeed = { action: "manifest.push", repository: A, status: 201 };
const DENIED: AuditDeed = { action: "denied", repository: A, status: 403 };
const ANY = { caller: null, repository: null, prefix: "", action: null, since: null, until: null };

function open({ ahead = 0, refuses = () => false }: { ahead?: number; refuses?: () => boolean } = {}) {
  const clock = { ms: 600_000 };
  const metadata = new SqliteMetadata(":memory:", {
    now: () => clock.ms + ahead,
    onFatal: (error) => {
      throw error;
    },
  });
  const batches: number[] = [];
  const lines: string[] = [];
  const note = (message: string, fields: object) => lines.push(JSON.stringify({ message, ...fields }));
  const store = {
    ...metadata.audit,
    async append(entries: readonly AuditEntry[]) {
      if (refuses()) throw new Error("the disk is full");
      batches.push(entries.length);
      await metadata.audit.append(entries);
    },
  };
  const audit = new Audit({
    metadata: { garbage: metadata.garbage, audit: store },
    log: { info: note, warn: note },
    now: () => clock.ms,
  });
  const stored = async () => (await audit.list(ANY, { before: null, entriesMax: 50_000 })).entries;
  return {
    audit,
    clock,
    batches,
    lines,
    stored,
    metadata,
    [Symbol.asyncDispose]: () => metadata[Symbol.asyncDispose](),
  };
}

test("Audit.record is in the log at once, and in the store after the next flush, by the store's clock", async () => {
  await using opened = open({ ahead: 500 });
  const { audit, lines, stored } = opened;
  audit.record(ALICE, { ...PUSH, detail: { tags: 2 } });
  expect(lines.map((line): unknown => JSON.parse(line))).toEqual([
    {
      message: "audit",
      requestId: "r-1",
      caller: "alice",
      credential: "access-token:AbCdEf123456",
      address: "192.0.2.1",
      userAgent: "docker/29",
      action: "manifest.push",
      repository: "team/a",
      reference: null,
      status: 201,
      count: 1,
      tags: 2,
    },
  ]);
  expect(await stored()).toEqual([]);
  await audit.flush();
  await audit.flush();
  expect(await stored()).toMatchObject([{ at: 600_500, caller: "alice", detail: { tags: 2 }, count: 1 }]);
});

test("Audit.recordNow is durable when it resolves, and throws what the store throws", async () => {
  let isFull = false;
  await using opened = open({ refuses: () => isFull });
  const { audit, stored } = opened;
  await audit.recordNow(ALICE, { action: "account.create", status: 201, detail: { account: "bob" } });
  expect(await stored()).toMatchObject([{ action: "account.create", detail: { account: "bob" } }]);
  isFull = true;
  await expect(audit.recordNow(ALICE, { action: "access.set", status: 200 })).rejects.toThrow("disk is full");
});

test("Audit writes at 256 without waiting, and never more than that together", async () => {
  await using opened = open();
  const { audit, batches } = opened;
  for (let at = 0; at < 1_000; at++) audit.record(ALICE, PUSH);
  await audit.flush();
  expect(batches).toEqual([256, 256, 256, 232]);
});

test("pulls are in the log alone", async () => {
  await using opened = open();
  const { audit, lines, stored } = opened;
  audit.record(ALICE, { action: "manifest.pull", repository: A, status: 200 });
  await audit.flush({ isLast: true });
  expect(lines).toHaveLength(1);
  expect(await stored()).toEqual([]);
});

test("refusals of one kind are an entry at once and one more when the minute is over", async () => {
  await using opened = open();
  const { audit, clock, lines, stored } = opened;
  for (let at = 0; at < 1_000; at++) audit.record({ ...ANYBODY, requestId: `r-${at}` }, DENIED);
  audit.record(ALICE, DENIED);
  audit.record(ANYBODY, { ...DENIED, action: "login.failed", status: 401 });
  await audit.flush();
  expect(await stored()).toHaveLength(3);
  clock.ms += 60_000;
  await audit.flush();
  expect(await stored()).toMatchObject([
    { action: "denied", caller: null, count: 999, requestId: "r-999", at: 600_000, isRefusal: true },
    { action: "login.failed", count: 1 },
    { action: "denied", caller: "alice", count: 1 },
    { action: "denied", caller: null, count: 1, requestId: "r-0" },
  ]);
  expect(lines).toHaveLength(4);
});

test("whoever varies what is refused gets no more than 600 entries in a minute; all are counted", async () => {
  await using opened = open();
  const { audit, clock, stored } = opened;
  for (let at = 0; at < 5_000; at++) {
    const repository = parseRepositoryName(`guess/${at}`);
    audit.record({ ...ANYBODY, address: `192.0.2.${at % 250}` }, { ...DENIED, repository });
  }
  clock.ms += 60_000;
  await audit.flush();
  const entries = await stored();
  expect(entries).toHaveLength(601);
  expect(entries[0]).toMatchObject({ action: "denied", repository: null, address: null, count: 4_400 });
  expect(entries.reduce((sum, { count }) => sum + count, 0)).toBe(5_000);
});

test("what could not be written is written later, in order", async () => {
  let isFull = true;
  await using opened = open({ refuses: () => isFull });
  const { audit, stored } = opened;
  for (let at = 0; at < 300; at++) audit.record({ ...ALICE, requestId: `r-${at}` }, PUSH);
  await expect(audit.flush()).rejects.toThrow("the disk is full");
  isFull = false;
  audit.record({ ...ALICE, requestId: "r-300" }, PUSH);
  await audit.flush();
  const ids = (await stored()).map(({ requestId }) => requestId);
  expect(ids.toReversed()).toEqual(Array.from({ length: 301 }, (_, at) => `r-${at}`));
});

test("of more than 10,000 that wait, refusals go first; how many is an entry", async () => {
  let isFull = true;
  await using opened = open({ refuses: () => isFull });
  const { audit, stored } = opened;
  for (let at = 0; at < 100; at++) audit.record(ALICE, PUSH);
  for (let at = 0; at < 500; at++) audit.record({ ...ANYBODY, address: `a${at}` }, DENIED);
  for (let at = 0; at < 9_600; at++) audit.record(ALICE, PUSH);
  await expect(audit.flush()).rejects.toThrow("the disk is full");
  isFull = false;
  await audit.flush();
  let entries = await stored();
  const count = (action: string) => entries.filter((entry) => entry.action === action).length;
  expect([count("denied"), count("manifest.push")]).toEqual([300, 9_700]);
  expect(entries.filter(({ action }) => action === "audit.dropped")).toMatchObject([
    { detail: { dropped: 200 } },
  ]);
  isFull = true;
  // 256 of them are on their way to the store.
  for (let at = 0; at < 10_261; at++) audit.record({ ...ALICE, caller: "bob" }, PUSH);
  isFull = false;
  await audit.flush();
  entries = await stored();
  expect(entries.filter(({ caller }) => caller === "bob")).toHaveLength(10_256);
  expect(entries.flatMap(({ detail }) => detail.dropped ?? [])).toEqual([5, 200]);
});

test("a store that cannot write is not asked, and the log not filled, for each entry", async () => {
  await using opened = open({ refuses: () => true });
  const { audit, lines } = opened;
  for (let at = 0; at < 2_000; at++) {
    audit.record(ALICE, PUSH);
    if (at % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await expect(audit.flush()).rejects.toThrow();
  expect(lines.filter((line) => line.includes("could not be written")).length).toBeLessThan(20);
});

test("expire keeps what is younger, in as many transactions as it takes", async () => {
  await using opened = open();
  const { audit, clock, stored } = opened;
  for (let at = 0; at < 1_200; at++) audit.record(ALICE, PUSH);
  await audit.flush();
  clock.ms += 1_000;
  audit.record(ALICE, PUSH);
  await audit.flush();
  const { signal } = new AbortController();
  expect(await audit.expire(1_000, AbortSignal.abort())).toBe(0);
  expect(await audit.expire(1_001, signal)).toBe(0);
  expect(await audit.expire(1_000, signal)).toBe(0);
  expect(await audit.expire(999, signal)).toBe(1_200);
  expect(await stored()).toHaveLength(1);
});

test("no secret gets into an entry or a line, wherever it is put", async () => {
  const secrets = [
    `stw_AbCdEf123456_${"x".repeat(43)}`,
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
    "Basic YWxpY2U6aHVudGVyMg==",
    "Bearer hunter2hunter2",
    "https://alice:hunter2@host/",
    "?X-Amz-Signature=hunter2&X-Amz-Security-Token=hunter2",
    "Cookie: stowage=hunter2",
    "password=hunter2",
  ];
  await using opened = open();
  const { audit, lines, stored } = opened;
  for (const secret of secrets) {
    for (const action of AUDIT_ACTIONS) {
      const credential = { kind: "access-token", id: secret };
      const detail = { reason: `it was ${secret}`, account: secret, wanted: secret };
      audit.record({ ...ALICE, credential, userAgent: `x ${secret}` }, { action, status: 200, detail });
    }
  }
  await audit.flush({ isLast: true });
  const said = JSON.stringify([lines, await stored()]);
  for (const secret of ["hunter2", "x".repeat(20), "YWxpY2U6", "eyJ"]) expect(said).not.toContain(secret);
});

test("members are cut at 256 characters", async () => {
  await using opened = open();
  const { audit, stored } = opened;
  const long = "u".repeat(5_000);
  audit.record({ ...ALICE, userAgent: long, caller: long }, { ...PUSH, detail: { reason: long } });
  await audit.flush();
  const [entry] = await stored();
  expect([entry?.userAgent, entry?.caller, entry?.detail.reason]).toEqual(
    Array<string>(3).fill("u".repeat(256)),
  );
});
