import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient, type Repository } from "@stowage/client";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { cli } from "../support/cli.ts";
import { type LayeredImage, pushLayers } from "../support/layer.ts";

let registry: TestRegistry;
let other: TestRegistry;
let repository: Repository;
let amd64: LayeredImage;
let folder = "";

beforeAll(async () => {
  [registry, other] = await Promise.all([startRegistry(), startRegistry()]);
  repository = new RegistryClient().repository(`${registry.host}/team/app`);
  amd64 = await pushLayers(repository, [[{ name: "a", text: "amd64" }]], {
    tags: ["1.0", "1.1", "1.2-rc1", "main"],
  });
  await pushLayers(repository, [[{ name: "a", text: "arm64" }]], {
    tags: ["arm"],
    config: { architecture: "arm64", variant: "v8" },
  });
  await cli(["index", "create", R("multi"), R("1.0"), R("arm")]);
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "stowage-moving-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

const R = (tag: string) => `${repository.label}:${tag}`;
const O = (name: string) => `${other.host}/${name}`;
const digestIn = (stdout: string) => /@(sha256:[0-9a-f]{64})\n$/.exec(stdout)?.[1];

describe("stowage pull and push", () => {
  test.each(["oci:$/layout", "oci-archive:$/oci.tar", "docker-archive:$/docker.tar"])(
    "%s and back is the same image",
    async (form) => {
      const place = form.replace("$", folder);
      const pulled = await cli(["pull", R("1.0"), place, "--progress", "none"]);
      expect(pulled.code).toBe(0);
      expect(digestIn(pulled.stdout)).toBe(amd64.manifest.digest);
      const pushed = await cli(["push", place, O("back/app:1.0"), "--progress", "none"]);
      expect(pushed.code).toBe(0);
      const cat = await cli(["cat", O("back/app:1.0"), "a"]);
      expect(cat.stdout).toBe("amd64");
      expect((await cli(["validate", place])).code).toBe(0);
    },
  );

  test("all platforms of an index go into a layout, one when it is said", async () => {
    await cli(["pull", R("multi"), `oci:${folder}/all`]);
    await cli(["push", `oci:${folder}/all`, O("multi/all:1.0")]);
    expect((await cli(["digest", O("multi/all:1.0")])).stdout).toBe(
      (await cli(["digest", R("multi")])).stdout,
    );
    await cli(["pull", R("multi"), `oci:${folder}/arm`, "--platform", "linux/arm64"]);
    expect((await cli(["cat", `oci:${folder}/arm`, "a"])).stdout).toBe("arm64");
    await cli(["pull", R("multi"), `docker-archive:${folder}/one.tar`, "--platform", "linux/arm64/v8"]);
    expect((await cli(["cat", `${folder}/one.tar`, "a"])).stdout).toBe("arm64");
  });

  test("standard output is the archive and nothing else, and standard input takes it", async () => {
    const pulled = await cli(["pull", R("1.0"), "-"]);
    expect(pulled.code).toBe(0);
    expect(pulled.stderr).toContain(amd64.manifest.digest);
    const pushed = await cli(["push", "-", O("piped/app:2.0")], { stdin: new Uint8Array(pulled.bytes) });
    expect(pushed.code).toBe(0);
    expect(digestIn(pushed.stdout)).toBeString();
    expect((await cli(["cat", O("piped/app:2.0"), "a"])).stdout).toBe("amd64");
  });

  test.each([
    [["pull", "R:1.0", "somewhere"], 2, "is no destination"],
    [["pull", "R:none", "oci:$/x"], 3, "MANIFEST_UNKNOWN"],
    [
      ["pull", "R:multi", "docker-archive:$/x", "--platform", "linux/s390x"],
      3,
      "has no image for linux/s390x",
    ],
    [["push", "nowhere", "R:x"], 2, "is no image"],
    [["push", "oci:$/none", "R:x"], 3, ""],
    [["push", "-", "R:x"], 2, ""],
    [["push", "-", "R:x", "--platform", "linux/amd64"], 2, "standard input is pushed as it comes"],
  ])("%p ends with %d", async (words, code, message) => {
    const ran = await cli(
      words.map((word) => word.replace(/^R:/, `${repository.label}:`).replace("$", folder)),
    );
    expect({ code: ran.code, stderr: ran.stderr }).toMatchObject({
      code,
      stderr: expect.stringContaining(message),
    });
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("stowage index", () => {
  test("create takes platforms from configs; list shows them", async () => {
    const { stdout } = await cli(["index", "list", R("multi"), "--format", "json"]);
    expect(JSON.parse(stdout)).toMatchObject([
      { digest: amd64.manifest.digest, platform: { os: "linux", architecture: "amd64" } },
      { platform: { os: "linux", architecture: "arm64", variant: "v8" } },
    ]);
  });

  test("filter and append give an index to a tag, or to its own", async () => {
    await cli(["index", "filter", R("multi"), "--platform", "linux/arm64", "-t", "filtered"]);
    expect((await cli(["index", "list", R("filtered"), "-q"])).stdout.split("\n")).toHaveLength(2);
    await cli(["index", "append", R("filtered"), R("1.0"), R("1.0")]);
    expect(
      (await cli(["index", "list", R("filtered"), "--format", "{{.platform.architecture}}"])).stdout,
    ).toBe("arm64\namd64\n");
    expect((await cli(["index", "filter", R("multi"), "--platform", "linux/s390x"])).code).toBe(3);
    expect((await cli(["index", "list", R("1.0")])).code).toBe(2);
    expect(
      (await cli(["index", "create", `${repository.label}@${amd64.manifest.digest}`, R("1.0")])).code,
    ).toBe(2);
  });

  test("images of other registries are copied, indexes are taken apart", async () => {
    const ran = await cli([
      "index",
      "create",
      O("made/multi:1.0"),
      R("multi"),
      "--docker",
      "--annotation",
      "a=b=c",
    ]);
    expect(ran.code).toBe(0);
    const raw = JSON.parse((await cli(["manifest", "get", O("made/multi:1.0")])).stdout);
    expect(raw.mediaType).toBe("application/vnd.docker.distribution.manifest.list.v2+json");
    expect(raw.annotations).toEqual({ a: "b=c" });
    expect(raw.manifests).toHaveLength(2);
    expect((await cli(["validate", O("made/multi:1.0")])).code).toBe(0);
  });
});

describe("stowage sync", () => {
  const mirror = async (text: string, ...more: readonly string[]) => {
    const file = join(folder, "mirror.yml");
    await writeFile(file, text);
    return await cli(["sync", "-f", file, "--progress", "none", ...more]);
  };

  test("brings the tags that are wanted, and the second time nothing", async () => {
    const text = `- source: ${repository.label}\n  target: ${O("mirror/a")}\n  tags: ["1.*", "!*-rc*"]\n`;
    const ran = await mirror(text, "--format", "jsonl");
    expect(ran.code).toBe(0);
    const rows = ran.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(rows).toMatchObject([
      { tag: "1.0", outcome: "copied", digest: amd64.manifest.digest },
      { tag: "1.1", outcome: "copied", bytes: 0 },
    ]);
    expect((await mirror(text, "--format", "{{.outcome}}")).stdout).toBe("unchanged\nunchanged\n");
    expect((await mirror(text, "--only-changed", "--format", "{{.outcome}}")).stdout).toBe("");
    expect((await cli(["ls", O("mirror/a")])).stdout).toBe("1.0\n1.1\n");
  });

  test("--only-changed asks for no manifest of what is there", async () => {
    const text = `- {source: ${repository.label}, target: "${O("mirror/heads")}", tags: ["1.0"]}\n`;
    await mirror(text);
    registry.faults.add({ kind: "answer", status: 400, method: "GET", path: /\/manifests\//, times: 100 });
    const ran = await mirror(text, "--only-changed");
    registry.faults.clear();
    expect(ran).toMatchObject({ code: 0, stdout: "" });
  });

  test("a dry run writes nothing", async () => {
    const ran = await mirror(
      `- source: ${repository.label}:1.0\n  target: ${O("mirror/dry")}\n`,
      "--dry-run",
    );
    expect(ran.code).toBe(0);
    expect((await cli(["ls", O("mirror/dry")])).code).toBe(3);
  });

  test("versions, the latest of them, and platforms", async () => {
    const text = `
- source: ${repository.label}
  target: ${O("mirror/versions")}
  tags: { semver: ">=1.0.0", latest: 1 }
- source: ${repository.label}:multi
  target: ${O("mirror/arm")}
  platforms: [linux/arm64]
`;
    expect((await mirror(text)).code).toBe(0);
    expect((await cli(["ls", O("mirror/versions")])).stdout).toBe("1.1\n");
    expect((await cli(["cat", O("mirror/arm:multi"), "a"])).stdout).toBe("arm64");
  });

  test("what fails is told, does not hold up the rest, and is 10", async () => {
    const ran = await mirror(
      `- {source: "${registry.host}/none", target: "${O("mirror/none")}"}\n- {source: "${repository.label}:1.0", target: "${O("mirror/some")}"}\n`,
      "--format",
      "{{.outcome}}",
    );
    expect(ran.code).toBe(10);
    expect(ran.stdout).toBe("failed\ncopied\n");
    expect(ran.stderr).toContain("NAME_UNKNOWN");
  });

  test.each([
    ["", "mirror.yml:1:1: the file: "],
    ["- source: a/b", "mirror.yml:1:3: [0].target: "],
    [
      "- source: a/b\n  target: c/d\n  tag: [x]",
      'mirror.yml:3:3: [0] has an unknown key "tag"; did you mean "tags"?',
    ],
    ["- source: A/b/C\n  target: c/d", 'mirror.yml:1:11: [0].source: "A/b/C" is no repository'],
    [
      "- source: a/b\n  target: c/d\n  platforms: [linux]",
      "mirror.yml:3:15: [0].platforms[0]: invalid platform",
    ],
    [
      "- source: a/b\n  target: c/d\n  tags: {semver: nonsense}",
      "mirror.yml:3:18: [0].tags.semver: wanted a range",
    ],
    [
      "- source: a/b\n  target: c/d\n  tags: {sember: '1'}",
      'mirror.yml:3:10: [0].tags has an unknown key "sember"',
    ],
    ["- source: a/b\n  source: c/d", "mirror.yml:2:3: Map keys must be unique"],
    ["- source: [", "mirror.yml:1:"],
    [
      "a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c]",
      "alias",
    ],
  ])("%p is told with its place", async (text, message) => {
    const ran = await mirror(text);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(message);
  });

  test("a file that is not there is 2", async () => {
    expect((await cli(["sync", "-f", join(folder, "none.yml")])).code).toBe(2);
    expect((await cli(["sync"])).code).toBe(2);
  });
});
