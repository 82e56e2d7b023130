import { expect, test } from "bun:test";
import fc from "fast-check";
import { pax, type TarPart, tarOfParts } from "../../../../tests/support/tar.ts";
import { readTar } from "./tar-reader.ts";
import { TAR_END, tarHeaderOf, tarPaddingOf } from "./tar-writer.ts";

interface Read {
  readonly path: string;
  readonly kind: string;
  readonly linkName: string;
  readonly text: string;
}

async function read(bytes: Uint8Array, pieceBytes = bytes.byteLength): Promise<readonly Read[]> {
  async function* pieces() {
    for (let at = 0; at < bytes.byteLength; at += Math.max(1, pieceBytes)) {
      yield bytes.slice(at, at + Math.max(1, pieceBytes));
    }
  }
  const entries: Read[] = [];
  for await (const entry of readTar(pieces())) {
    const parts: Uint8Array[] = [];
    for await (const piece of entry.bytes()) parts.push(piece.slice());
    const text = Buffer.concat(parts).toString("latin1");
    entries.push({ path: entry.path, kind: entry.kind, linkName: entry.linkName, text });
  }
  return entries;
}

const file = (path: string, text: string): Read => ({ path, kind: "file", linkName: "", text });

test("readTar gives files, folders and links with their bytes, in pieces of any size", async () => {
  const tar = tarOfParts([
    { name: "./", type: "5" },
    { name: "./a/", type: "5" },
    { name: "./a/b", bytes: "hello" },
    { name: "empty" },
    { name: "link", type: "2", linkName: "a/b" },
    { name: "old", type: "\0", bytes: "x".repeat(1_024) },
  ]);
  for (const pieceBytes of [1, 7, 511, 512, 513, 100_000]) {
    expect(await read(tar, pieceBytes)).toEqual([
      { path: ".", kind: "directory", linkName: "", text: "" },
      { path: "a", kind: "directory", linkName: "", text: "" },
      file("a/b", "hello"),
      file("empty", ""),
      { path: "link", kind: "symlink", linkName: "a/b", text: "" },
      file("old", "x".repeat(1_024)),
    ]);
  }
});

test("readTar skips what nobody reads", async () => {
  const tar = tarOfParts([
    { name: "a", bytes: "x".repeat(2_000) },
    { name: "b", bytes: "y" },
  ]);
  const paths: string[] = [];
  for await (const entry of readTar(of(tar))) paths.push(entry.path);
  expect(paths).toEqual(["a", "b"]);
});

const long = `${"d/".repeat(80)}name`;

const LONG_NAMES: Readonly<Record<string, readonly TarPart[]>> = {
  "pax path": [pax({ path: long, mtime: "1.5", "SCHILY.xattr.user.x": "y" }), { name: "short", bytes: "1" }],
  "GNU long name": [
    { name: "././@LongLink", type: "L", bytes: `${long}\0`, magic: "ustar  \0" },
    { name: "short", bytes: "1", magic: "ustar  \0" },
  ],
  "global comment before it": [
    pax({ comment: "made by git" }, "g"),
    pax({ path: long }),
    { name: "s", bytes: "1" },
  ],
};

for (const [name, parts] of Object.entries(LONG_NAMES)) {
  test(`readTar reads a ${name}`, async () => {
    expect(await read(tarOfParts(parts))).toEqual([file(long, "1")]);
  });
}

test("readTar reads the prefix of a ustar name, sizes in pax records and in base 256", async () => {
  const [prefixed] = [tarOfParts([{ name: "name", bytes: "1" }])];
  const header = Buffer.from(prefixed ?? []);
  header.write("pre/fix", 345);
  header.fill(" ", 148, 156);
  const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  expect(await read(header)).toEqual([file("pre/fix/name", "1")]);
  const base256 = `\u0080${"\0".repeat(10)}\u0003`;
  expect(await read(tarOfParts([{ name: "a", bytes: "abc", rawSize: base256 }]))).toEqual([file("a", "abc")]);
  expect(await read(tarOfParts([pax({ size: "3" }), { name: "a", bytes: "abc" }]))).toEqual([
    file("a", "abc"),
  ]);
});

const REFUSED: readonly (readonly [string, readonly TarPart[], RegExp])[] = [
  ["a path that leads up", [{ name: "../x" }], /invalid path/],
  ["a path that leads up in its middle", [{ name: "a/../../x" }], /invalid path/],
  ["an absolute path", [{ name: "/etc/passwd" }], /invalid path/],
  ["a path with two slashes", [{ name: "a//b" }], /invalid path/],
  ["a path with a backslash", [{ name: "..\\x" }], /invalid path/],
  ["a path with a control character", [{ name: "a\nb" }], /invalid path/],
  ["no path", [{ name: "" }], /invalid path/],
  ["a file that ends as a folder", [{ name: "a/" }], /invalid path/],
  ["a pax path that leads up", [pax({ path: "../x" }), { name: "a" }], /invalid path/],
  ["the same file twice", [{ name: "a" }, { name: "./a" }], /there twice/],
  ["a hard link", [{ name: "a", type: "1", linkName: "b" }], /hard link/],
  ["a device", [{ name: "a", type: "3" }], /device/],
  ["a block device", [{ name: "a", type: "4" }], /device/],
  ["a pipe", [{ name: "a", type: "6" }], /pipe/],
  ["a GNU sparse file", [{ name: "a", type: "S" }], /sparse/],
  ["a pax sparse file", [pax({ "GNU.sparse.major": "1", "GNU.sparse.name": "x" }), { name: "a" }], /sparse/],
  ["an unknown type", [{ name: "a", type: "Z" }], /unknown type/],
  ["a folder with bytes", [{ name: "a/", type: "5", bytes: "x" }], /wanted none/],
  ["a link with bytes", [{ name: "a", type: "2", linkName: "b", bytes: "x" }], /wanted none/],
  ["two pax headers in a row", [pax({ path: "a" }), pax({ path: "b" }), { name: "c" }], /once more/],
  [
    "two names for one entry",
    [pax({ path: "a" }), { name: "L", type: "L", bytes: "b\0" }, { name: "c" }],
    /two names/,
  ],
  ["two sizes", [pax({ size: "1" }), { name: "a", bytes: "abc" }], /two sizes/],
  [
    "one record twice",
    [{ name: "pax", type: "x", bytes: "8 path=a\n8 path=b\n".replaceAll("8", "9") }, { name: "c" }],
    /path twice/,
  ],
  [
    "a record of a wrong length",
    [{ name: "pax", type: "x", bytes: "99 path=a\n" }, { name: "c" }],
    /malformed pax/,
  ],
  [
    "a record of no length",
    [{ name: "pax", type: "x", bytes: "0 path=a\n" }, { name: "c" }],
    /malformed pax/,
  ],
  ["a pax header for nothing", [pax({ path: "a" })], /not there/],
  ["a path for everything", [pax({ path: "a" }, "g"), { name: "b" }], /all entries/],
  ["another character set", [pax({ hdrcharset: "BINARY" }), { name: "b" }], /character set/],
  ["a path of too many folders", [pax({ path: `${"a/".repeat(200)}x` }), { name: "a" }], /128 components/],
  ["a path that is too long", [pax({ path: "a".repeat(1_025) }), { name: "a" }], /longer than 1024/],
  [
    "a link whose target is too long",
    [pax({ linkpath: "a".repeat(1_025) }), { name: "a", type: "2" }],
    /longer than 1024/,
  ],
  ["a huge pax header", [{ name: "pax", type: "x", size: 1_000_000 }], /announces 1000000 bytes/],
  ["a huge long name", [{ name: "L", type: "L", size: 4_000_000_000 }], /announces/],
  [
    "a size beyond numbers",
    [{ name: "a", rawSize: "\u0080\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" }],
    /no file has/,
  ],
  ["a negative size", [{ name: "a", rawSize: "\xff".repeat(12) }], /no file has/],
  ["a size that is no number", [{ name: "a", rawSize: "0000000009x\0" }], /cannot be read/],
  ["a wrong checksum", [{ name: "a", damage: { 0: 98 } }], /checksum/],
  ["an unknown format", [{ name: "a", magic: "\0\0\0\0\0\0\0\0" }], /unknown format/],
];

for (const [what, parts, message] of REFUSED) {
  test(`readTar refuses ${what}`, async () => {
    const refused = await read(tarOfParts(parts)).catch((error: unknown) => error);
    expect(refused).toMatchObject({ name: "ClientError", kind: "invalid" });
    expect(String(refused)).toMatch(message);
  });
}

test("readTar refuses what breaks off at any byte, and what follows the end", async () => {
  const tar = tarOfParts([
    { name: "a", bytes: "x".repeat(600) },
    pax({ path: "b" }),
    { name: "c", bytes: "y" },
  ]);
  for (let size = 0; size < tar.byteLength; size += 1) {
    const refused = await read(tar.subarray(0, size)).catch((error: unknown) => String(error));
    expect(refused).toMatch(/breaks off/);
  }
  const followed = await read(new Uint8Array([...tar, ...new Uint8Array(512), 1])).catch(String);
  expect(followed).toMatch(/follows its end/);
  const padded = await read(tarOfParts([{ name: "a" }], { end: 2_000_000 })).catch(String);
  expect(padded).toMatch(/bytes of zeros/);
  expect(await read(tarOfParts([{ name: "a" }], { end: 10_240 }))).toHaveLength(1);
});

test("readTar refuses more entries than an image can have", async () => {
  const folder = tarOfParts([{ name: "a/", type: "5" }], { end: 0 });
  async function* endless() {
    for (;;) yield folder.slice();
  }
  const refused = await (async () => {
    for await (const _entry of readTar(endless()));
  })().catch(String);
  expect(refused).toMatch(/more than 32768 entries/);
});

test("readTar reads what tarHeaderOf writes: any path, sizes beyond 8 GiB", async () => {
  for (const path of [
    "a",
    "x".repeat(100),
    "x".repeat(101),
    "ü".repeat(60),
    `blobs/sha512/${"a".repeat(128)}`,
  ]) {
    const bytes = Buffer.concat([
      tarHeaderOf(path, 3),
      Buffer.from("abc"),
      new Uint8Array(tarPaddingOf(3)),
      TAR_END,
    ]);
    expect(await read(bytes)).toEqual([file(path, "abc")]);
  }
  const size = 9 * 1024 ** 3;
  const entries = readTar(of(tarHeaderOf("big", size)));
  expect((await entries.next()).value).toMatchObject({ path: "big", size });
});

test("readTar ends with entries or a refusal, whatever it is given", async () => {
  const tar = tarOfParts([
    { name: "a/b", bytes: "x".repeat(600) },
    pax({ path: "b", size: "1" }),
    { name: "c", bytes: "y" },
  ]);
  const damaged = fc
    .array(fc.tuple(fc.nat(tar.byteLength - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    .map((changes) => {
      const bytes = tar.slice();
      for (const [at, byte] of changes) bytes[at] = byte;
      return bytes;
    });
  const anything = fc.oneof(damaged, fc.uint8Array({ maxLength: 4_096 }));
  await fc.assert(
    fc.asyncProperty(anything, fc.integer({ min: 1, max: 2_000 }), async (bytes, pieceBytes) => {
      const result = await read(bytes, pieceBytes).catch((error: unknown) => error);
      if (!Array.isArray(result)) expect(result).toMatchObject({ name: "ClientError" });
    }),
    { numRuns: 500 },
  );
});

async function* of(bytes: Uint8Array) {
  yield bytes;
}
