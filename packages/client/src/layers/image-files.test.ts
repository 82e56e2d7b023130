import { describe, expect, test } from "bun:test";
import type { Descriptor } from "@stowage/oci/descriptor";
import fc from "fast-check";
import { ClientError } from "../client-error.ts";
import type { ContentSource } from "../content.ts";
import { digestOf } from "../hasher.ts";
import { exportFiles } from "./export-files.ts";
import { FileTree, type Inode } from "./file-tree.ts";
import { pathOf, readImageFile, readImageFiles, type SkippedEntry } from "./image-files.ts";
import { unpackLayer } from "./layer-bytes.ts";
import type { EntryKind, LayerHeader } from "./layer-header.ts";
import { EMPTY_HEADER, formatLayerHeader } from "./layer-header-writer.ts";
import { type LayerEntry, readLayer } from "./layer-tar.ts";

type Parts = Partial<Omit<LayerHeader, "size">> & { readonly name: string; readonly text?: string };

function tarOf(entries: readonly Parts[], end = new Uint8Array(1024)): Uint8Array<ArrayBuffer> {
  const parts = entries.flatMap(({ text = "", ...entry }) => {
    const bytes = new TextEncoder().encode(text);
    const header = formatLayerHeader({ ...EMPTY_HEADER, ...entry, size: bytes.byteLength });
    return [header, bytes, new Uint8Array((512 - (bytes.byteLength % 512)) % 512)];
  });
  return new Uint8Array(Buffer.concat([...parts, end]));
}

async function* none(): AsyncGenerator<never, void, void> {
  // A source of layers has nothing else.
}

/** A source of layers that lie in memory; counts how often each is opened. */
function sourceOf(...layers: readonly Uint8Array<ArrayBuffer>[]) {
  const opened: number[] = [];
  const descriptors = layers.map((bytes) => ({
    mediaType: "application/vnd.oci.image.layer.v1.tar",
    digest: digestOf(bytes),
    size: bytes.byteLength,
    artifactType: null,
    annotations: null,
    platform: null,
  })) satisfies Descriptor[];
  const source: ContentSource = {
    label: "memory",
    getManifest: async () => null,
    openBlob: async ({ digest }) => {
      const at = descriptors.findIndex((descriptor) => descriptor.digest === digest);
      opened.push(at);
      return new Blob([layers[at] ?? new Uint8Array()]).stream() as ReadableStream<Uint8Array<ArrayBuffer>>;
    },
    referrers: none,
    tags: none,
  };
  return { source, descriptors, opened };
}

async function filesOf(...layers: readonly (readonly Parts[])[]) {
  const content = sourceOf(...layers.map((entries) => tarOf(entries)));
  const skipped: SkippedEntry[] = [];
  const files = await readImageFiles(content.source, content.descriptors, {
    onSkipped: (entry) => skipped.push(entry),
  });
  const paths = [...files.tree].map(([path]) => path);
  const text = async (path: string) => {
    const inode = files.tree.find(path.split("/"))?.inode;
    if (inode === null || inode === undefined) return null;
    return await textOf(readImageFile(content.source, files, { inode }));
  };
  const exported = async () => {
    const tar = await Bun.readableStreamToBytes(
      new ReadableStream({
        start: async (controller) => {
          for await (const piece of exportFiles(content.source, files)) controller.enqueue(piece);
          controller.close();
        },
      }),
    );
    return await entriesOf(new Uint8Array(tar));
  };
  return { ...content, files, paths, text, exported, skipped: skipped.map(({ name, why }) => [name, why]) };
}

async function textOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece.slice());
  return Buffer.concat(all).toString();
}

async function* one(
  bytes: Uint8Array<ArrayBuffer>,
  size = 100,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}

async function entriesOf(
  tar: Uint8Array<ArrayBuffer>,
): Promise<(Omit<LayerEntry, "bytes"> & { text: string })[]> {
  const entries: (Omit<LayerEntry, "bytes"> & { text: string })[] = [];
  for await (const { bytes, ...entry } of readLayer(one(tar)))
    entries.push({ ...entry, text: await textOf(bytes()) });
  return entries;
}

const dir = (name: string): Parts => ({ name, kind: "directory", mode: 0o755 });
const link = (name: string, linkName: string): Parts => ({ name, kind: "symlink", linkName });
const hard = (name: string, linkName: string): Parts => ({ name, kind: "hardlink", linkName });

describe("readLayer", () => {
  test("everything that the writer says comes back", async () => {
    const entries: readonly Parts[] = [
      {
        name: "short",
        text: "x",
        mode: 0o4755,
        uid: 1000,
        gid: 100,
        uname: "ann",
        gname: "staff",
        mtime: 1.5,
      },
      { name: `${"long/".repeat(60)}ä`, text: "y".repeat(1_000), mtime: -3, uid: 2 ** 31 },
      { name: "l", kind: "symlink", linkName: `${"to/".repeat(60)}ü` },
      { name: "null", kind: "character", major: 1, minor: 3 },
      { name: "x", records: new Map([["SCHILY.xattr.security.capability", Uint8Array.of(1, 0, 10, 0)]]) },
      dir("d/"),
      { name: "p", kind: "fifo" },
      hard("h", "short"),
    ];
    const read = await entriesOf(tarOf(entries));
    expect(read).toEqual(
      entries.map(({ text = "", ...entry }) => ({
        ...EMPTY_HEADER,
        ...entry,
        size: text.length,
        text,
      })) as never,
    );
  });

  test("an archive without its end is read, one that breaks off is not", async () => {
    const tar = tarOf([{ name: "a", text: "abc" }], new Uint8Array());
    expect(await entriesOf(tar)).toHaveLength(1);
    await expect(entriesOf(tar.subarray(0, 513))).rejects.toThrow("breaks off");
    await expect(entriesOf(tar.subarray(0, 300))).rejects.toThrow("breaks off");
  });

  test("what is no tar file is refused", async () => {
    await expect(entriesOf(new TextEncoder().encode("<html>".repeat(200)))).rejects.toThrow("no tar file");
    expect(await entriesOf(new Uint8Array())).toEqual([]);
  });

  test("a header that announces more than memory is refused", async () => {
    const header = formatLayerHeader({ ...EMPTY_HEADER, name: "x", size: 2 ** 32 });
    const pax = header.slice();
    pax[156] = "x".charCodeAt(0);
    pax.fill(0x20, 148, 156);
    pax.set(
      new TextEncoder().encode(
        `${pax
          .reduce((sum, byte) => sum + byte, 0)
          .toString(8)
          .padStart(6, "0")}\0 `,
      ),
      148,
    );
    await expect(entriesOf(pax)).rejects.toThrow("describes an entry with 4294967296 bytes");
  });
});

describe("unpackLayer", () => {
  const tar = tarOf([{ name: "a", text: "abc" }]);
  const packed: readonly (readonly [string, Uint8Array<ArrayBuffer>])[] = [
    ["as it is", tar],
    ["gzip", Bun.gzipSync(tar)],
    [
      "gzip in members",
      new Uint8Array(Buffer.concat([Bun.gzipSync(tar.subarray(0, 100)), Bun.gzipSync(tar.subarray(100))])),
    ],
    ["zstd", new Uint8Array(Bun.zstdCompressSync(tar))],
    [
      "zstd with frames to be skipped",
      new Uint8Array(
        Buffer.concat([
          Buffer.from([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]),
          Bun.zstdCompressSync(tar),
          Buffer.from([0x51, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]),
        ]),
      ),
    ],
  ];
  test.each(packed)("%s", async (_name, bytes) => {
    expect(await textOf(unpackLayer(one(bytes, 3)))).toBe(Buffer.from(tar).toString());
  });

  test("broken gzip and zstd are told", async () => {
    for (const bytes of [Bun.gzipSync(tar), new Uint8Array(Bun.zstdCompressSync(tar))]) {
      await expect(textOf(unpackLayer(one(bytes.subarray(0, -4))))).rejects.toThrow("is broken");
      const wrong = bytes.slice();
      wrong.fill(0xff, 8, 20);
      await expect(textOf(unpackLayer(one(wrong)))).rejects.toThrow("is broken");
    }
  });

  test("what the source says is not hidden by the unpacker", async () => {
    async function* failing() {
      yield Bun.gzipSync(tar).subarray(0, 30);
      throw new Error("the line is dead");
    }
    await expect(textOf(unpackLayer(failing()))).rejects.toThrow("the line is dead");
  });

  test("whoever leaves early ends the source", async () => {
    let ended = false;
    async function* endless() {
      try {
        for (;;) yield Bun.gzipSync(new Uint8Array(100_000));
      } finally {
        ended = true;
      }
    }
    for await (const _piece of unpackLayer(endless())) break;
    expect(ended).toBe(true);
  });
});

describe("readImageFiles", () => {
  test("upper layers replace, whiteouts remove, opaque folders hide what is below", async () => {
    const { paths, text } = await filesOf(
      [
        dir("etc"),
        { name: "etc/a", text: "1" },
        { name: "etc/b", text: "1" },
        dir("var"),
        { name: "var/x", text: "1" },
      ],
      [
        { name: "./etc/a", text: "2" },
        { name: "etc/.wh.b" },
        { name: "var/.wh..wh..opq" },
        { name: "var/y", text: "2" },
      ],
    );
    expect(paths).toEqual(["etc", "etc/a", "var", "var/y"]);
    expect(await text("etc/a")).toBe("2");
  });

  test("a whiteout spares what its own layer puts there, in either order", async () => {
    const lower = [dir("d"), { name: "d/old", text: "1" }];
    expect((await filesOf(lower, [{ name: ".wh.d" }, { name: "d/new" }])).paths).toEqual(["d", "d/new"]);
    expect((await filesOf(lower, [{ name: "d/new" }, { name: "d/.wh..wh..opq" }])).paths).toEqual([
      "d",
      "d/new",
    ]);
    expect((await filesOf(lower, [{ name: "d/old", text: "2" }, { name: "d/.wh.old" }])).paths).toEqual([
      "d",
      "d/old",
    ]);
  });

  test("a file over a folder takes away what is in it, a folder over a folder does not", async () => {
    const lower = [dir("d"), { name: "d/x" }];
    expect((await filesOf(lower, [{ name: "d" }])).paths).toEqual(["d"]);
    expect((await filesOf(lower, [dir("d/")])).paths).toEqual(["d", "d/x"]);
    expect((await filesOf([{ name: "f" }], [{ name: "f/x" }])).paths).toEqual(["f", "f/x"]);
  });

  test("a path through a link lands where a container sees it", async () => {
    const { paths, text } = await filesOf(
      [dir("usr"), dir("usr/bin"), link("bin", "usr/bin"), link("sbin", "/usr/bin")],
      [
        { name: "bin/tool", text: "t" },
        { name: "sbin/other", text: "o" },
      ],
    );
    expect(paths).toEqual(["bin", "sbin", "usr", "usr/bin", "usr/bin/other", "usr/bin/tool"]);
    expect(await text("bin/tool")).toBe("t");
  });

  test("links cannot leave the image, nor lead in a circle", async () => {
    const { paths, skipped } = await filesOf(
      [link("up", "../../../.."), link("a", "b"), link("b", "a")],
      [{ name: "up/etc/passwd", text: "x" }, { name: "a/x" }],
    );
    expect(paths).toEqual(["a", "b", "etc", "etc/passwd", "up"]);
    expect(skipped).toEqual([["a/x", "its folder cannot be there"]]);
  });

  test("paths that lead out of the image are left out, and told", async () => {
    const { paths, skipped, exported } = await filesOf([
      { name: "../../etc/passwd", text: "x" },
      { name: "/absolute", text: "x" },
      { name: "a/../b", text: "x" },
      { name: "a/../../c", text: "x" },
      hard("h", "../../etc/shadow"),
      hard("none", "missing"),
      { name: "x/.wh..", text: "" },
    ]);
    expect(paths).toEqual(["absolute", "b"]);
    expect(skipped.map(([name]) => name)).toEqual(["../../etc/passwd", "a/../../c", "h", "none", "x/.wh.."]);
    expect((await exported()).map(({ name }) => name)).toEqual(["absolute", "b"]);
  });

  test("a path that makes more folders than there may be ends the reading, however small the layer is", () => {
    const tree = new FileTree({ nodesMax: 1_000 });
    const inode: Inode = {
      ...{ kind: "file", layer: 0, entry: 0, size: 0, mode: 0, uid: 0, gid: 0 },
      ...{ linkName: "", device: "", hash: null },
    };
    const deep = Array.from({ length: 600 }, () => "d");
    expect(tree.put(["a", ...deep], inode, 0)).toBe(true);
    expect(() => tree.put(["b", ...deep], inode, 0)).toThrow("more than 1000 files and folders");
  });

  test("whiteouts that take nothing away, and links, end the reading when they are too much work", () => {
    const inode: Inode = {
      ...{ kind: "file", layer: 0, entry: 0, size: 0, mode: 0, uid: 0, gid: 0 },
      ...{ linkName: "", device: "", hash: null },
    };
    const tooMuch = "more work than any image";
    const wide = new FileTree({ looksMax: 10_000 });
    for (let at = 0; at < 100; at++) wide.put(["d", String(at)], inode, 0);
    expect(() => {
      for (let times = 0; times < 1_000; times++) wide.clear(["d"], 0);
    }).toThrow(tooMuch);
    const linked = new FileTree({ looksMax: 10_000 });
    linked.put(["l"], { ...inode, kind: "symlink", linkName: "/".repeat(1_000) }, 0);
    expect(() => {
      for (let at = 0; at < 100; at++) linked.put(["l", String(at)], inode, 0);
    }).toThrow(tooMuch);
  });

  test("links that multiply each other lead nowhere, and cost little", async () => {
    const long = "x/../".repeat(800);
    const links = Array.from({ length: 30 }, (_, at) => link(`l${at}`, `${long}l${at + 1}`));
    const { skipped } = await filesOf([
      dir("x"),
      ...links,
      { name: "l0/file" },
      link("far", "y".repeat(5_000)),
    ]);
    expect(skipped).toEqual([
      ["l0/file", "its folder cannot be there"],
      ["far", "it links to what is longer than any path"],
    ]);
  });

  test("a file of an image named like an object's own members is a file", async () => {
    expect((await filesOf([{ name: "__proto__/constructor", text: "x" }])).paths).toEqual([
      "__proto__",
      "__proto__/constructor",
    ]);
  });
});

describe("exportFiles", () => {
  test("names of one file stay one file, also when the first of them is gone", async () => {
    const { exported, text } = await filesOf(
      [{ name: "a", text: "bytes", uid: 5 }, hard("b", "a"), hard("c", "a")],
      [{ name: ".wh.a" }, hard("d", "b")],
      [{ name: "c", text: "other" }],
    );
    expect(
      (await exported()).map(({ name, kind, linkName, text, uid }) => [name, kind, linkName, text, uid]),
    ).toEqual([
      ["b", "file", "", "bytes", 5],
      ["d", "hardlink", "b", "", 5],
      ["c", "file", "", "other", 0],
    ]);
    expect(await text("d")).toBe("bytes");
  });

  test("devices, links, attributes and folders are as the layers have them", async () => {
    const entries: readonly Parts[] = [
      { ...dir("./"), mode: 0o700 },
      { ...dir("d/"), mtime: 12 },
      { name: "d/null", kind: "character", major: 1, minor: 3 },
      { name: "d/x", text: "1", records: new Map([["SCHILY.xattr.user.a", Uint8Array.of(0, 255)]]) },
      link("l", "/etc"),
    ];
    const exported = await (await filesOf(entries)).exported();
    expect(exported).toEqual(
      entries.map(({ text = "", ...entry }) => ({
        ...EMPTY_HEADER,
        ...entry,
        size: text.length,
        text,
      })) as never,
    );
  });

  test("a layer of which nothing is left is not fetched again", async () => {
    const { exported, opened } = await filesOf([{ name: "a" }], [{ name: ".wh.a" }], [{ name: "b" }]);
    await exported();
    expect(opened).toEqual([0, 1, 2, 2]);
  });
});

describe("whatever a layer says", () => {
  const word = fc.constantFrom("a", "b", "c", "..", ".", "", ".wh.a", ".wh..wh..opq", ".wh.", "etc");
  const path = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join("/"));
  const kinds: readonly EntryKind[] = ["file", "directory", "symlink", "hardlink", "block", "fifo"];
  const entry = fc.record({
    name: path,
    kind: fc.constantFrom(...kinds),
    linkName: path,
    text: fc.string({ maxLength: 9 }),
  });
  const layer = fc
    .array(entry, { maxLength: 12 })
    .map((entries) => entries.map(({ text, ...rest }) => (rest.kind === "file" ? { ...rest, text } : rest)));

  test("what is exported is inside, is there once, leads through no link, and is the same when it is read again", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 4 }), async (layers) => {
        const { exported, paths } = await filesOf(...layers);
        const entries = await exported();
        const kindAt = new Map<string, EntryKind>();
        for (const { name, kind } of entries) {
          const parts = pathOf(name) ?? ["out"];
          expect(name === "./" || name.replace(/\/$/, "") === parts.join("/")).toBe(true);
          expect(kindAt.has(parts.join("/"))).toBe(false);
          kindAt.set(parts.join("/"), kind);
        }
        for (const place of kindAt.keys()) {
          const above = place
            .split("/")
            .slice(0, -1)
            .map((_, at, all) => all.slice(0, at + 1).join("/"));
          for (const folder of above) expect(kindAt.get(folder) ?? "directory").toBe("directory");
        }
        const again = await filesOf(entries.map(({ text, ...rest }) => ({ ...rest, text })));
        const unsaid = (all: readonly string[]) => all.filter((place) => kindAt.has(place));
        expect(unsaid(again.paths)).toEqual(unsaid(paths));
        expect(again.skipped).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test("damaged bytes are an error that says so, and no other", async () => {
    const good = tarOf([
      { name: "a", text: "abc" },
      dir("d"),
      link("l", "a"),
      { name: "n".repeat(200), text: "x" },
    ]);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.byteLength - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        fc.nat(good.byteLength),
        async (changes, length) => {
          const bytes = good.slice(0, length);
          for (const [at, value] of changes) bytes[at % Math.max(1, length)] = value;
          const { source, descriptors } = sourceOf(bytes);
          const error = await readImageFiles(source, descriptors).then(
            () => null,
            (thrown: unknown) => thrown,
          );
          if (error !== null) expect(error).toBeInstanceOf(ClientError);
        },
      ),
      { numRuns: 500 },
    );
  });
});
