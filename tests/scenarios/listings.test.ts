import { afterAll, beforeAll, expect, test } from "bun:test";
import { imageOf } from "../support/content.ts";
import { TestApp } from "../support/test-app.ts";

const TAGS = Array.from({ length: 25 }, (_, at) => `v${at}`).toSorted();
const IMAGE = imageOf([]);

let app: TestApp;
beforeAll(async () => {
  app = new TestApp();
  await app.pushImage("t/r", "v0", IMAGE);
  for (const tag of TAGS) await app.pushManifest("t/r", tag, IMAGE);
  for (const name of ["a", "a/b", "a-b", "z"]) await app.pushImage(name, "v1", IMAGE);
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
});

/** All entries and the number of pages, following Link as a client does. */
async function follow(
  path: string,
  key: "tags" | "repositories",
): Promise<{ entries: string[]; pages: number }> {
  const entries: string[] = [];
  let pages = 0;
  for (let next: string | null = path; next !== null; pages++) {
    const response: Response = await app.request("GET", next);
    expect(response.status).toBe(200);
    entries.push(...((await response.json()) as Record<typeof key, string[]>)[key]);
    next = /^<(\/[^>]+)>; rel="next"$/.exec(response.headers.get("Link") ?? "")?.[1] ?? null;
  }
  return { entries, pages };
}

test.each([
  ["", 1],
  ["?n=10", 3],
  ["?n=25", 1],
  ["?n=24", 2],
  ["?n=1000000", 1],
])("tags/list%s gives all tags in %i pages", async (query, pages) => {
  expect(await follow(`/v2/t/r/tags/list${query}`, "tags")).toEqual({ entries: TAGS, pages });
});

test("tags/list?n=0 is empty and has no Link", async () => {
  const response = await app.request("GET", "/v2/t/r/tags/list?n=0");
  expect(await response.json()).toEqual({ name: "t/r", tags: [] });
  expect(response.headers.get("Link")).toBeNull();
});

test("tags/list after a tag that does not exist", async () => {
  const { entries } = await follow("/v2/t/r/tags/list?last=v1zzz&n=5", "tags");
  expect(entries).toEqual(TAGS.filter((tag) => tag > "v1zzz"));
});

test("the catalog lists repositories in byte order, in pages", async () => {
  const all = ["a", "a-b", "a/b", "t/r", "z"];
  expect(await follow("/v2/_catalog", "repositories")).toEqual({ entries: all, pages: 1 });
  expect(await follow("/v2/_catalog?n=2", "repositories")).toEqual({ entries: all, pages: 3 });
  expect(await follow("/v2/_catalog?n=2&last=a/b", "repositories")).toEqual({
    entries: ["t/r", "z"],
    pages: 1,
  });
});

test("pages under change: nothing twice, and nothing missed that was there throughout", async () => {
  const seen: string[] = [];
  let path: string | null = "/v2/t/r/tags/list?n=3";
  for (let round = 0; path !== null; round++) {
    await app.pushManifest("t/r", `new-${round}`, IMAGE);
    await app.pushManifest("t/r", `v1-${round}`, IMAGE);
    await app.request("DELETE", `/v2/t/r/manifests/new-${round - 1}`);
    const response: Response = await app.request("GET", path);
    seen.push(...((await response.json()) as { tags: string[] }).tags);
    path = /^<(\/[^>]+)>; rel="next"$/.exec(response.headers.get("Link") ?? "")?.[1] ?? null;
  }
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.filter((tag) => TAGS.includes(tag))).toEqual(TAGS);
});
