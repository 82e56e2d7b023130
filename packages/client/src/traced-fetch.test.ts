import { expect, test } from "bun:test";
import { traced } from "./traced-fetch.ts";

/** The address as it is shown. */
async function shown(query: string): Promise<string> {
  let url = "";
  const send = traced(
    async () => new Response(),
    (exchange) => {
      url = exchange.url;
    },
  );
  await send(new Request(`https://storage.test/object${query}`));
  return url.slice("https://storage.test/object".length);
}

test.each([
  ["", ""],
  ["?n=100&last=a", "?n=100&last=a"],
  ["?last=token", "?last=token"],
  ["?X-Amz-Signature=abc", "?(secret)"],
  ["?a=1&X-Amz-Credential=abc&b=2", "?(secret)"],
  ["?a?Sig=abc", "?(secret)"],
  ["?_state=abc", "?(secret)"],
])("the query %p is shown as %p", async (query, wanted) => {
  expect(await shown(query)).toBe(wanted);
});

test("an address of a megabyte is shown in time", async () => {
  expect(await shown(`?${"?".repeat(500_000)}${"sig".repeat(200_000)}`)).toBe("?(secret)");
  expect(await shown(`?x=${"?".repeat(500_000)}${"sig".repeat(200_000)}&y=1`)).toEndWith("sig&y=1");
});
