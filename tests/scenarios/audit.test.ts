import { describe, expect, test } from "bun:test";
import { parseRepositoryName, type RepositoryName } from "@stowage/oci/repository-name";
import { parseTag, type Tag } from "@stowage/oci/tag";
import { startExpiringAudit, startWritingAudit } from "@stowage/server/jobs/audit";
import { createLog } from "@stowage/server/observe/log";
import type { AuditActor, AuditDeed } from "@stowage/server/registry/audit-entry";
import { errorCode, TestApp } from "../support/test-app.ts";

const ALICE: AuditActor = {
  requestId: "r-1",
  caller: "alice",
  credential: { kind: "access-token", id: "AbCdEf123456" },
  address: "192.0.2.1",
  userAgent: "docker/29",
};

function named(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === null) throw new Error(`${text} is no name`);
  return name;
}

function tagged(text: string): Tag {
  const tag = parseTag(text);
  if (tag === null) throw new Error(`${text} is no tag`);
  return tag;
}

async function record(app: TestApp, actor: Partial<AuditActor>, deed: AuditDeed): Promise<void> {
  app.registry.audit.record({ ...ALICE, ...actor }, deed);
  await app.registry.audit.flush();
}

interface Page {
  readonly entries: readonly Readonly<Record<string, unknown>>[];
  readonly next: string | null;
}

async function read(app: TestApp, query = ""): Promise<Page> {
  const response = await app.request("GET", `/api/v1/audit${query}`);
  expect(`${response.status} ${query}`).toBe(`200 ${query}`);
  return (await response.json()) as Page;
}

describe("GET /api/v1/audit", () => {
  test("says who did what, to which reference, from where, with which credential", async () => {
    await using app = new TestApp();
    await record(
      app,
      {},
      {
        action: "tag.set",
        repository: named("team/a"),
        reference: tagged("v1"),
        status: 201,
        detail: { tags: 1 },
      },
    );
    expect(await read(app)).toEqual({
      entries: [
        {
          id: 1,
          at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
          requestId: "r-1",
          caller: "alice",
          credential: "access-token:AbCdEf123456",
          address: "192.0.2.1",
          userAgent: "docker/29",
          action: "tag.set",
          repository: "team/a",
          reference: "v1",
          status: 201,
          count: 1,
          detail: { tags: 1 },
        },
      ],
      next: null,
    });
    expect(app.log).toContain('"message":"audit","requestId":"r-1","caller":"alice"');
  });

  test("finds by caller, repository, prefix, action and time", async () => {
    await using app = new TestApp();
    await record(
      app,
      { requestId: "1" },
      { action: "manifest.push", repository: named("team/a"), status: 201 },
    );
    await record(app, { requestId: "2" }, { action: "tag.delete", repository: named("team/b"), status: 202 });
    app.clockAhead = 3_600_000;
    const halfway = new Date(Date.now() + 1_800_000).toISOString();
    await record(app, { requestId: "3", caller: null }, { action: "login.failed", status: 401 });
    for (const [query, wanted] of [
      ["", ["3", "2", "1"]],
      ["?caller=alice", ["2", "1"]],
      ["?repository=team%2Fa", ["1"]],
      ["?repository=team/b", ["2"]],
      ["?prefix=team/", ["2", "1"]],
      ["?prefix=team/&action=tag.delete", ["2"]],
      ["?action=login.failed", ["3"]],
      [`?since=${halfway}`, ["3"]],
      [`?until=${halfway}&caller=alice`, ["2", "1"]],
      [`?since=${encodeURIComponent(halfway.replace("Z", "+00:00"))}`, ["3"]],
      ["?caller=nobody", []],
    ] as const) {
      expect((await read(app, query)).entries.map(({ requestId }) => requestId)).toEqual([...wanted]);
    }
  });

  test("goes page by page by the Link header, also when few of many match", async () => {
    await using app = new TestApp();
    for (let at = 0; at < 25_000; at++) {
      const caller = at % 8_000 === 0 ? "seldom" : "often";
      app.registry.audit.record({ ...ALICE, caller, requestId: `${at}` }, { action: "tag.set", status: 201 });
      if (at % 5_000 === 0) await app.registry.audit.flush();
    }
    await app.registry.audit.flush();
    expect((await read(app, "?caller=seldom")).entries.map(({ requestId }) => requestId)).toEqual([
      "24000",
      "16000",
      "8000",
      "0",
    ]);
    const found: unknown[] = [];
    let path: string | null = "/api/v1/audit?caller=seldom&n=3";
    for (let pages = 0; path !== null && pages < 5; pages++) {
      const response: Response = await app.request("GET", path);
      const { entries } = (await response.json()) as Page;
      found.push(...entries.map(({ requestId }) => requestId));
      [, path = null] = /^<(.+)>; rel="next"$/.exec(response.headers.get("Link") ?? "") ?? [];
      await record(app, { requestId: `new ${pages}`, caller: "seldom" }, { action: "tag.set", status: 201 });
    }
    expect(found).toEqual(["24000", "16000", "8000", "0"]);
  });

  test("as NDJSON has one entry in a line, and the Link of the page", async () => {
    await using app = new TestApp();
    for (const requestId of ["1", "2", "3"])
      await record(app, { requestId }, { action: "tag.set", status: 201 });
    const response = await app.request("GET", "/api/v1/audit?format=ndjson&n=2");
    expect(response.headers.get("Content-Type")).toBe("application/x-ndjson");
    expect(response.headers.get("Link")).toBe('</api/v1/audit?format=ndjson&n=2&before=2>; rel="next"');
    const lines = (await response.text()).split("\n");
    expect(lines.pop()).toBe("");
    expect(lines.map((line) => (JSON.parse(line) as { requestId: unknown }).requestId)).toEqual(["3", "2"]);
    const none = await app.request("GET", "/api/v1/audit?format=ndjson&caller=nobody");
    expect(await none.text()).toBe("");
  });

  test.each([
    "?action=manifest.burn",
    "?since=yesterday",
    "?since=2026-01-01",
    "?until=1",
    "?repository=UPPER",
    "?before=0",
    "?before=-1",
    "?n=0",
    "?n=1.5",
    "?format=xml",
    `?caller=${"a".repeat(257)}`,
  ])("refuses %s", async (query) => {
    await using app = new TestApp();
    const response = await app.request("GET", `/api/v1/audit${query}`);
    expect([response.status, await errorCode(response)]).toEqual([400, "REQUEST_INVALID"]);
  });

  test("takes wildcards of LIKE and quotes for what they are", async () => {
    await using app = new TestApp();
    await record(app, {}, { action: "tag.set", repository: named("a_b"), status: 201 });
    for (const query of [
      "?prefix=%25",
      "?prefix=a%25",
      "?caller=%25",
      "?caller=%27%20OR%201=1",
      "?prefix=axb",
    ]) {
      expect((await read(app, query)).entries).toEqual([]);
    }
  });

  test("asks authorize for the registry's administration, and changes nothing", async () => {
    const asked: unknown[] = [];
    await using app = new TestApp({
      authorize: ({ action, repository }) => {
        asked.push([action, repository]);
        return false;
      },
    });
    expect((await app.request("GET", "/api/v1/audit")).status).toBe(403);
    expect(asked).toEqual([["admin", null]]);
    await using open = new TestApp();
    for (const method of ["POST", "PUT", "DELETE"]) {
      expect((await open.request(method, "/api/v1/audit")).status).toBe(405);
    }
  });
});

test("an orderly end writes what has come together, and what is still being gathered", async () => {
  await using app = new TestApp();
  const { audit } = app.registry;
  const log = createLog({ level: "info", format: "json", write: () => undefined, now: Date.now });
  {
    await using _ = startWritingAudit({ audit, log });
    audit.record(ALICE, { action: "tag.set", status: 201 });
    for (let at = 0; at < 5; at++) audit.record(ALICE, { action: "denied", status: 403 });
  }
  const { entries } = await read(app);
  expect(entries.reduce((sum, { count }) => sum + Number(count), 0)).toBe(6);
  app.clockAhead = 90_000;
  await using _ = startExpiringAudit({ audit, keepMs: 60_000, log });
  for (let turn = 0; turn < 100 && (await read(app)).entries.length > 0; turn++) await Bun.sleep(1);
  expect((await read(app)).entries).toEqual([]);
});

test("a caller who is refused again and again fills neither the store nor the log", async () => {
  await using app = new TestApp();
  for (let at = 0; at < 10_000; at++) {
    app.registry.audit.record(
      { ...ALICE, caller: null },
      { action: "denied", repository: named("a"), status: 403 },
    );
  }
  await app.registry.audit.flush({ isLast: true });
  const { entries } = await read(app);
  // The clock may have gone into the next minute meanwhile.
  expect(entries.length).toBeLessThanOrEqual(4);
  expect(entries.reduce((sum, { count }) => sum + Number(count), 0)).toBe(10_000);
  expect(app.log.split("\n").filter((line) => line.includes('"audit"')).length).toBeLessThanOrEqual(4);
});
