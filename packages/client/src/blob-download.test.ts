import { expect, test } from "bun:test";
import { ClientError } from "./client-error.ts";
import { digestOf } from "./hasher.ts";
import { RegistryClient } from "./registry-client.ts";

const TEXT = "0123456789";
const BLOB = { digest: digestOf(new TextEncoder().encode(TEXT)), size: TEXT.length };
const CLOCK = { now: () => 0, wait: async () => undefined };

/** The text of the blob from `offset` on as it arrives when requests are answered so, or what went wrong. */
async function download(offset: number, answer: (range: string | null, request: number) => Response) {
  let requests = 0;
  const client = new RegistryClient({
    clock: CLOCK,
    retriesMax: 2,
    fetch: async ({ headers }) => answer(headers.get("Range"), requests++),
  });
  try {
    return await new Response(await client.repository("registry.test/app").openBlob(BLOB, { offset })).text();
  } catch (error) {
    if (error instanceof ClientError)
      return `${error.kind}: ${error.message.split(": ").slice(1).join(": ")}`;
    throw error;
  }
}

const part = (from: number, contentRange?: string) =>
  new Response(TEXT.slice(from), {
    status: 206,
    headers: contentRange === undefined ? {} : { "Content-Range": contentRange },
  });

test.each([
  { what: "the part that was asked for", answer: part(4, "bytes 4-9/10"), wanted: "456789" },
  { what: "a part that does not say which it is", answer: part(4), wanted: "456789" },
  { what: "a longer part", answer: part(2, "bytes 2-9/10"), wanted: "456789" },
  { what: "all of it as a part", answer: part(0, "bytes 0-9/10"), wanted: "456789" },
  { what: "all of it", answer: new Response(TEXT), wanted: "456789" },
  {
    what: "a part behind it",
    answer: part(5, "bytes 5-9/10"),
    wanted: "server: byte 5 came; wanted 4",
  },
  {
    what: "a part behind everything",
    answer: part(5, `bytes ${"9".repeat(100_000)}-9/10`),
    wanted: "server: byte Infinity came; wanted 4",
  },
])("openBlob from an offset is answered with $what", async ({ answer, wanted }) => {
  expect(await download(4, () => answer)).toEqual(wanted);
});

test("openBlob from 0 refuses a part that nobody asked for", async () => {
  expect(await download(0, () => part(3, "bytes 3-9/10"))).toBe("server: byte 3 came; wanted 0");
});

test("a download that broke off is not taken up with another part than the one that is missing", async () => {
  const broken = (range: string | null, request: number) =>
    request === 0 ? new Response(TEXT.slice(0, 4)) : part(6, `bytes 6-9/10 ${range}`);
  expect(await download(0, broken)).toBe("server: byte 6 came; wanted 4");
});

test.each([
  { what: "more than its size", body: `${TEXT}x`, wanted: "mismatch: more than the 10 bytes came" },
  {
    what: "other bytes of its size",
    body: "012345678x",
    wanted: expect.stringMatching(/^mismatch: the bytes have/),
  },
  { what: "less, again and again", body: "", wanted: "network: the connection broke at byte 0 of 10" },
])("a blob of which $what come is refused", async ({ body, wanted }) => {
  expect(await download(0, () => new Response(body))).toEqual(wanted);
});
