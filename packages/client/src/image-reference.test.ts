import { expect, test } from "bun:test";
import {
  formatImageReference,
  isRegistryHost,
  parseImageReference,
  requireImageReference,
  targetOf,
} from "./image-reference.ts";

const HEX = "0123456789abcdef".repeat(4);

const READ: readonly (readonly [text: string, full: string])[] = [
  ["alpine", "docker.io/library/alpine"],
  ["alpine:3", "docker.io/library/alpine:3"],
  ["team/app", "docker.io/team/app"],
  ["docker.io/alpine", "docker.io/library/alpine"],
  ["index.docker.io/alpine", "docker.io/library/alpine"],
  ["registry-1.docker.io/library/alpine", "docker.io/library/alpine"],
  ["docker.io/library/alpine:3", "docker.io/library/alpine:3"],
  ["localhost/app", "localhost/app"],
  // Without a slash there is no registry: docker reads this as an image of its hub.
  ["localhost:5000", "docker.io/library/localhost:5000"],
  ["localhost:5000/team/app:1.0", "localhost:5000/team/app:1.0"],
  ["LOCALHOST/app", "LOCALHOST/app"],
  ["ghcr.io/a/b/c:x", "ghcr.io/a/b/c:x"],
  ["[::1]:5000/app:1", "[::1]:5000/app:1"],
  ["127.0.0.1:5000/app", "127.0.0.1:5000/app"],
  [`app@sha256:${HEX}`, `docker.io/library/app@sha256:${HEX}`],
  [`h:1/app:t@sha256:${HEX}`, `h:1/app:t@sha256:${HEX}`],
  [`h.x/app@sha512:${HEX}${HEX}`, `h.x/app@sha512:${HEX}${HEX}`],
  ["a-b.c/d__e/f.g-h:T_x.y-z", "a-b.c/d__e/f.g-h:T_x.y-z"],
];

const REFUSED = [
  "",
  "/",
  "/app",
  "app/",
  "UPPER",
  "host.io/Upper",
  "app:",
  "app:-x",
  "app:with space",
  "app@sha256:short",
  `app@md5:${HEX}`,
  `app@sha256:${HEX.toUpperCase()}`,
  "host:port/app",
  "host:123456/app",
  "host.io/",
  "host.io//app",
  "-host.io/app",
  "host-.io/app",
  "http://host.io/app",
  "user@host.io/app",
  "host.io/app/../x",
  "host.io/app%2fx",
  "host.io/a\u0000b",
  `host.io/${"a".repeat(256)}`,
  `app:${"t".repeat(129)}`,
  HEX,
  `library/${HEX}`,
];

test("parseImageReference reads what docker reads, and its text in full is read as the same again", () => {
  for (const [text, full] of READ) {
    const reference = requireImageReference(text);
    expect(formatImageReference(reference)).toBe(full);
    expect(parseImageReference(full)).toEqual(reference);
  }
});

test("parseImageReference refuses what is no reference", () => {
  expect(REFUSED.filter((text) => parseImageReference(text) !== null)).toEqual([]);
});

test("requireImageReference says what is wanted", () => {
  expect(() => requireImageReference("UPPER")).toThrow(
    'invalid reference "UPPER": wanted [REGISTRY/]REPOSITORY',
  );
});

test("targetOf prefers the digest, and gives nothing where nothing is named", () => {
  expect(targetOf(requireImageReference("app"))).toBeNull();
  expect(targetOf(requireImageReference("app:1"))).toBe("1");
  expect(targetOf(requireImageReference(`app:1@sha256:${HEX}`))).toBe(`sha256:${HEX}`);
});

test("isRegistryHost takes a host and perhaps a port, and nothing else", () => {
  for (const host of ["localhost", "a.b:5000", "[::1]:5000", "127.0.0.1"])
    expect(isRegistryHost(host)).toBe(true);
  for (const text of ["", "a/b", "http://a", "a b", "a:", "a@b", "a?b", "..", "a..b"])
    expect(isRegistryHost(text)).toBe(false);
});
