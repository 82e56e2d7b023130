import { expect, test } from "bun:test";
import { formatTransport, parseTransport } from "./transport.ts";

const TRANSPORTS = [
  ["oci:dir", { kind: "oci", path: "dir", reference: null }],
  ["oci:/a/b:1.0", { kind: "oci", path: "/a/b", reference: "1.0" }],
  [
    "oci-archive:f.tar:localhost:5000/app:1",
    { kind: "oci-archive", path: "f.tar", reference: "localhost:5000/app:1" },
  ],
  ["docker-archive:f.tar", { kind: "docker-archive", path: "f.tar", reference: null }],
  ["docker-archive:-:app:1", { kind: "docker-archive", path: null, reference: "app:1" }],
] as const;

for (const [text, transport] of TRANSPORTS) {
  test(`parseTransport reads ${text}, and formatTransport writes it`, () => {
    expect(parseTransport(text)).toEqual(transport);
    expect(formatTransport(transport)).toBe(text);
  });
}

test("parseTransport takes - for standard input or output", () => {
  expect(parseTransport("-")).toEqual({ kind: "docker-archive", path: null, reference: null });
});

for (const text of [
  "",
  "alpine",
  "localhost:5000/app:1",
  "oci:",
  "oci::tag",
  "oci:dir:",
  "docker://x",
  "OCI:dir",
  "oci-archive",
]) {
  test(`parseTransport knows nothing of ${JSON.stringify(text)}`, () => {
    expect(parseTransport(text)).toBeNull();
  });
}
