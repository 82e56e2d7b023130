import { expect, test } from "bun:test";
import type { AuditAction, AuditEntry, AuditQuery } from "./audit.ts";
import { A, B, digest, type MetadataUnderTest, requireName, requireTag } from "./conformance-content.ts";
import type { Metadata } from "./metadata.ts";

const ALL: AuditQuery = {
  caller: null,
  repository: null,
  prefix: "",
  action: null,
  since: null,
  until: null,
  before: null,
  entriesMax: 1_000,
  scannedMax: 10_000,
};

const NO_LIMITS = { before: 0, changesMax: 1_000, refusalsMax: 1_000, max: 100 };

function entry(at: number, parts: Partial<AuditEntry> = {}): AuditEntry {
  return {
    at,
    requestId: `r${at}`,
    caller: "alice",
    credential: "access-token:id",
    address: "192.0.2.1",
    userAgent: "docker/29",
    action: "manifest.push",
    repository: A,
    reference: requireTag("v1"),
    status: 201,
    count: 1,
    isRefusal: false,
    detail: { digest: digest("m"), tags: 1 },
    ...parts,
  };
}

/** What every metadata store must do about who did what. */
export function testAudit(get: () => MetadataUnderTest): void {
  test("audit entries come back as they were written, newest first, page by page", async () => {
    const { audit } = get().metadata;
    const written = [
      entry(1),
      entry(2, {
        caller: null,
        credential: null,
        address: null,
        userAgent: null,
        requestId: null,
        repository: null,
        reference: null,
        action: "denied",
        isRefusal: true,
        count: 7,
        detail: {},
      }),
      entry(3, { reference: digest("m") }),
    ];
    expect(await audit.list(ALL)).toEqual({ entries: [], next: null });
    await audit.append(written);
    await audit.append([]);
    const { entries, next } = await audit.list(ALL);
    expect(entries.map(({ id: _, ...rest }) => rest)).toEqual(written.toReversed());
    expect(next).toBeNull();
    const [newest] = entries;
    const first = await audit.list({ ...ALL, entriesMax: 1 });
    expect(first.entries).toEqual(entries.slice(0, 1));
    expect(first.next).toBe(newest?.id ?? null);
    const rest = await audit.list({ ...ALL, before: first.next, entriesMax: 2 });
    expect([rest.entries, rest.next]).toEqual([entries.slice(1), null]);
  });

  test("audit entries are found by caller, repository, prefix, action and time, and by all of them", async () => {
    const { metadata } = get();
    const under = requireName("team_a");
    await metadata.audit.append([
      entry(10),
      entry(20, { caller: "bob" }),
      entry(30, { repository: B, action: "tag.set" }),
      entry(40, { repository: under }),
      entry(50, { caller: "alic", repository: null, action: "login.failed", isRefusal: true }),
    ]);
    const cases: readonly (readonly [Partial<AuditQuery>, readonly number[]])[] = [
      [{}, [50, 40, 30, 20, 10]],
      [{ caller: "alice" }, [40, 30, 10]],
      [{ caller: "ali%" }, []],
      [{ repository: A }, [20, 10]],
      [{ prefix: "team/" }, [30, 20, 10]],
      [{ prefix: "team_" }, [40]],
      [{ prefix: "%" }, []],
      [{ action: "tag.set" }, [30]],
      [{ since: 20, until: 40 }, [30, 20]],
      [{ since: 0, until: 10 }, []],
      [{ caller: "alice", prefix: "team/", action: "manifest.push", since: 5 }, [10]],
      [{ caller: "bob", action: "tag.set" }, []],
    ];
    for (const [query, wanted] of cases) expect(await timesOf(metadata, query)).toEqual([...wanted]);
  });

  test("an audit page that looked at its share goes on where it stopped, past holes", async () => {
    const { metadata } = get();
    const { audit } = metadata;
    const actions: readonly AuditAction[] = ["tag.set", "tag.delete"];
    for (let at = 1; at <= 40; at++) {
      await audit.append([entry(at, { action: actions[at % 20 === 0 ? 0 : 1] ?? "denied" })]);
    }
    await audit.expire({ ...NO_LIMITS, before: 5 });
    const query = { ...ALL, action: "tag.set", scannedMax: 6 } as const;
    const found: number[] = [];
    let pages = 0;
    for (let before: number | null = null; pages === 0 || before !== null; pages++) {
      const page = await audit.list({ ...query, before });
      found.push(...page.entries.map(({ at }) => at));
      before = page.next;
    }
    expect([found, pages]).toEqual([[40, 20], 6]);
  });

  test("audit entries go by age, and beyond their number the oldest; refusals have a number of their own", async () => {
    const { metadata } = get();
    const { audit } = metadata;
    const isRefusal = (at: number) => at % 2 === 0;
    await audit.append(Array.from({ length: 20 }, (_, at) => entry(at, { isRefusal: isRefusal(at) })));
    expect(await audit.expire(NO_LIMITS)).toBe(0);
    expect(await audit.expire({ ...NO_LIMITS, before: 6, max: 4 })).toBe(4);
    expect(await audit.expire({ ...NO_LIMITS, before: 6, max: 4 })).toBe(2);
    expect(await timesOf(metadata)).toEqual([19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6]);
    const limits = { ...NO_LIMITS, refusalsMax: 2, max: 3 };
    expect(await audit.expire(limits)).toBe(3);
    expect(await audit.expire(limits)).toBe(2);
    expect(await audit.expire(limits)).toBe(0);
    expect(await timesOf(metadata)).toEqual([19, 18, 17, 16, 15, 13, 11, 9, 7]);
    expect(await audit.expire({ ...NO_LIMITS, changesMax: 1 })).toBe(6);
    expect(await timesOf(metadata)).toEqual([19, 18, 16]);
  });

  test("ids of audit entries are not given again", async () => {
    const { metadata } = get();
    await metadata.audit.append([entry(1)]);
    const [last] = (await metadata.audit.list(ALL)).entries;
    await metadata.audit.expire({ ...NO_LIMITS, before: 100 });
    await metadata.audit.append([entry(2)]);
    const [next] = (await metadata.audit.list(ALL)).entries;
    expect(next?.id ?? 0).toBeGreaterThan(last?.id ?? 0);
  });
}

async function timesOf(metadata: Metadata, query: Partial<AuditQuery> = {}): Promise<readonly number[]> {
  return (await metadata.audit.list({ ...ALL, ...query })).entries.map(({ at }) => at);
}
