import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { descriptorOf, manifestFrom, RegistryClient, type Repository } from "@stowage/client";
import { startRegistry, type TestRegistry } from "@stowage/server/testing";
import { blobOf, noise, putBlob, type PushedImage, pushImage } from "../client/images.ts";
import { cli, type CliOptions } from "../support/cli.ts";

let registry: TestRegistry;
let other: TestRegistry;
let repository: Repository;
let image: PushedImage;
let folder = "";

beforeAll(async () => {
  [registry, other] = await Promise.all([startRegistry(), startRegistry()]);
  folder = await mkdtemp(join(tmpdir(), "stowage-cli-"));
  repository = new RegistryClient().repository(`${registry.host}/team/app`);
  image = await pushImage(repository, { tag: "1.0", extra: { annotations: { "x.y": "z" } } });
  await pushImage(repository, { tag: "1.10", seed: 2 });
  await pushImage(repository, { tag: "1.9", seed: 3, layers: [100] });
  await pushImage(repository, { tag: "main", seed: 4 });
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a line in which `R` is the repository, `H` the registry and `O` the other one. */
async function run(line: string, options: CliOptions = {}) {
  const words = line.split(" ").map((word) =>
    word
      .replace(/^R(?=[:@]|$)/, repository.label)
      .replace(/^H(?=\/|$)/, registry.host)
      .replace(/^O(?=\/|$)/, other.host),
  );
  return await cli(words, options);
}

const lines = (text: string) => text.split("\n").filter((line) => line !== "");

describe("catalog and ls", () => {
  test("catalog lists names, in every form", async () => {
    await pushImage(new RegistryClient().repository(`${registry.host}/team/b`), { tag: "x", seed: 9 });
    expect(lines((await run("catalog H")).stdout)).toContain("team/app");
    expect(await run("catalog H --limit 1")).toMatchObject({ code: 0, stdout: "team/app\n", stderr: "" });
    expect(await run("catalog H --after team/app --limit 1 --format jsonl")).toMatchObject({
      stdout: '{"name":"team/b"}\n',
    });
    expect((await run("catalog H --limit 1 --format {{.name}}")).stdout).toBe("team/app\n");
    expect((await run("catalog H --limit 1 --format yaml")).stdout).toBe("- name: team/app\n");
  });

  const sorts: readonly (readonly [string, readonly string[]])[] = [
    ["", ["1.0", "1.10", "1.9", "main"]],
    ["--sort semver", ["1.0", "1.9", "1.10", "main"]],
    ["--sort semver -r", ["main", "1.10", "1.9", "1.0"]],
    ["--sort pushed", ["main", "1.9", "1.10", "1.0"]],
    ["--include 1.*", ["1.0", "1.10", "1.9"]],
    ["--include 1.* --exclude *9", ["1.0", "1.10"]],
    ["--since 1h --include main", ["main"]],
    ["--since 2999-01-01", []],
  ];
  test.each(sorts)("ls %s", async (options, tags) => {
    const ran = await run(`ls R ${options}`.trim());
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(lines(ran.stdout)).toEqual([...tags]);
  });

  test("ls --long says digest, size, platform and time; a narrow terminal gets short digests", async () => {
    const { digest } = image.manifest;
    const wide = (await run("ls R --long --include 1.0")).stdout;
    expect(wide).toMatch(/^TAG {2}DIGEST +SIZE +PLATFORM +PUSHED\n/);
    expect(wide).toContain(`1.0  ${digest}  362.`);
    const narrow = (await run("ls R --long --include 1.0", { columns: 80 })).stdout;
    expect(narrow).toContain(`1.0  ${digest.slice(0, 19)}  362.`);
    expect(lines(narrow).every((line) => line.length <= 80)).toBe(true);
    const [entry] = JSON.parse((await run("ls R --include 1.0 --long --format json")).stdout) as unknown[];
    expect(entry).toMatchObject({
      name: "1.0",
      digest,
      platform: "linux/amd64",
      pushedAt: expect.any(String),
    });
    expect((await run("ls R --long --include 1.0 --format text")).stdout).toStartWith(`1.0\t${digest}\t`);
  });

  test("ls of a registry that does not say times says so, and sorts by size all the same", async () => {
    const plain = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async (request) => {
        const target = request.url.replace(/^http:\/\/[^/]*/, "");
        if (!target.startsWith("/v2/"))
          return new Response("<html>", { status: 200, headers: { "Content-Type": "text/html" } });
        return await fetch(`${registry.url}${target}`, {
          method: request.method,
          headers: request.headers,
        });
      },
    });
    try {
      const name = `127.0.0.1:${plain.port}/team/app`;
      const bySize = await cli(["ls", name, "--sort", "size", "-r", "-q"]);
      expect(lines(bySize.stdout)[0]).toBe("1.9");
      for (const options of [
        ["--since", "1h"],
        ["--sort", "pushed"],
      ]) {
        const ran = await cli(["ls", name, ...options]);
        expect(ran).toMatchObject({ code: 1, stdout: "" });
        expect(ran.stderr).toContain("does not say when tags were pushed\nhint: ");
      }
    } finally {
      await plain.stop(true);
    }
  });
});

describe("digest", () => {
  test("of a reference is what the registry says", async () => {
    expect(await run("digest R:1.0")).toMatchObject({
      code: 0,
      stdout: `${image.manifest.digest}\n`,
      stderr: "",
    });
  });

  test("of files is what distribution's digest prints, and can be checked", async () => {
    const path = join(folder, "a file");
    await Bun.write(path, "hello\n");
    const digest = "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    expect(await cli(["digest", path])).toMatchObject({ code: 0, stdout: `${digest}\t${path}\n` });
    expect(await cli(["digest"], { stdin: "hello\n" })).toMatchObject({ code: 0, stdout: `${digest}\t-\n` });
    expect((await cli(["digest", "-a", "sha512", "-"], { stdin: "" })).stdout).toMatch(
      /^sha512:cf83e1357eefb8bd\w{112}\t-\n$/,
    );
    const missing = await cli(["digest", path, "/nonexistent/file"]);
    expect(missing).toMatchObject({ code: 1, stdout: `${digest}\t${path}\n` });
    expect(missing.stderr).toBe("error: digest: /nonexistent/file: no such file or directory\n");
    const sums = join(folder, "SUMS");
    await Bun.write(sums, `${digest}\t${path}\n${digest.slice(7)}  ${path}\n`);
    expect(await cli(["digest", "-c", sums])).toMatchObject({
      code: 0,
      stdout: `${path}: OK\n${path}: OK\n`,
    });
    await Bun.write(path, "hullo\n");
    expect(await cli(["digest", "-q", "-c", sums])).toMatchObject({ code: 9, stdout: `${path}\n${path}\n` });
    expect(await cli(["digest", "-c", "-"], { stdin: "nonsense\n" })).toMatchObject({ code: 2 });
  });
});

describe("what images are", () => {
  test("inspect, config, layers and history agree with what was pushed", async () => {
    const config = JSON.parse(new TextDecoder().decode(image.config.bytes)) as unknown;
    expect(JSON.parse((await run("config R:1.0 --format json")).stdout)).toEqual(config);
    expect(lines((await run("layers R:1.0 -q")).stdout)).toEqual(image.layers.map(({ digest }) => digest));
    const told: unknown = JSON.parse((await run("inspect R:1.0 --format json")).stdout);
    expect(told).toMatchObject({
      name: `${repository.label}:1.0`,
      digest: image.manifest.digest,
      platform: "linux/amd64",
      layers: 2,
      annotations: { "x.y": "z" },
    });
    expect((await run("inspect R:1.0")).stdout).toContain("annotations: x.y=z\n");
    expect(await run("history R:1.0")).toMatchObject({ code: 0, stdout: "" });
  });

  test("what others wrote does not reach the terminal as it is", async () => {
    const evil = "\u001b]0;owned\u0007";
    await pushImage(repository, { tag: "evil", seed: 5, extra: { annotations: { evil } } });
    for (const line of [
      "inspect R:evil",
      "inspect R:evil --format json",
      "manifest get R:evil",
      "inspect R:evil --format {{.annotations}}",
    ]) {
      expect({ line, bad: /(?!\n)\p{Cc}/u.test((await run(line, { columns: 80 })).stdout) }).toEqual({
        line,
        bad: false,
      });
    }
    await run("delete R:evil --yes");
  });

  test("a manifest is printed and stored byte by byte", async () => {
    const got = await run("manifest get R:1.0");
    expect(new Uint8Array(got.bytes)).toEqual(new Uint8Array(image.manifest.bytes));
    const file = join(folder, "manifest.json");
    await Bun.write(file, got.bytes);
    expect(await cli(["manifest", "put", `${repository.label}:2.0`, file])).toMatchObject({
      code: 0,
      stdout: `${repository.label}@${image.manifest.digest}\n`,
    });
    expect((await run("manifest head R:2.0 -q")).stdout).toBe(`${image.manifest.digest}\n`);
    expect((await run("manifest diff R:1.0 R:2.0")).code).toBe(0);
    const differs = await run("manifest diff R:1.0 R:1.9 --format jsonl");
    expect(differs.code).toBe(1);
    expect(differs.stdout).toContain('"path":"config.digest"');
    expect((await run("manifest delete R:2.0")).code).toBe(2);
    expect((await run("untag R:2.0")).code).toBe(0);
  });
});

describe("blobs", () => {
  test("are put, found, read, mounted and deleted", async () => {
    const file = join(folder, "blob");
    const bytes = noise(3_000_000, 77);
    await Bun.write(file, bytes);
    const { digest } = blobOf(bytes);
    const name = `${repository.label}@${digest}`;
    expect(await cli(["blob", "put", repository.label, "-"], { stdin: bytes })).toMatchObject({
      code: 0,
      stdout: `${name}\n`,
    });
    const again = await cli(["blob", "put", repository.label, file]);
    expect(again).toMatchObject({ code: 0, stdout: `${name}\n`, stderr: `existed ${digest} 2.9 MiB\n` });
    expect((await cli(["blob", "head", name])).stdout).toContain(`${digest}  3000000\n`);
    expect(new Uint8Array((await cli(["blob", "get", name])).bytes)).toEqual(bytes);
    const copy = join(folder, "copy");
    expect(await cli(["blob", "get", name, "-o", copy])).toMatchObject({ code: 0, stdout: "" });
    expect(new Uint8Array(await Bun.file(copy).arrayBuffer())).toEqual(bytes);
    const mounted = await cli(["blob", "mount", name, `${registry.host}/team/web`]);
    expect(mounted).toMatchObject({ code: 0, stdout: `${registry.host}/team/web@${digest}\n` });
    expect(await cli(["blob", "mount", name, `${other.host}/team/web`])).toMatchObject({ code: 2 });
    expect((await cli(["blob", "delete", name])).code).toBe(0);
    expect(await cli(["blob", "get", name])).toMatchObject({
      code: 3,
      stderr: `error: pull ${name}: blob unknown (BLOB_UNKNOWN, 404)\n`,
    });
  });
});

describe("tag, untag and delete", () => {
  test("tell tags and images apart", async () => {
    const doomed = await pushImage(repository, { tag: "doomed", seed: 11 });
    const { digest } = doomed.manifest;
    expect(await run("tag R:doomed one two")).toMatchObject({
      code: 0,
      stdout: `${repository.label}@${digest}\n`,
    });
    const refused = await run("delete R:doomed --yes");
    expect(refused).toMatchObject({ code: 6, stdout: "" });
    expect(refused.stderr).toContain(
      `: one, two name the same image, ${digest}\nhint: \`stowage untag ${repository.label}:doomed\``,
    );
    expect((await run(`delete R@${digest} --yes`)).code).toBe(6);
    expect(await run("untag R:one")).toMatchObject({ code: 0, stdout: `${repository.label}:one\n` });
    expect(await run("untag R:one")).toMatchObject({ code: 3, stdout: "" });
    expect(await run("untag R:one --ignore-missing")).toMatchObject({ code: 0, stdout: "" });
    expect(await run("delete R:doomed --all-tags")).toMatchObject({ code: 2 });
    expect((await run("digest R:two")).stdout).toBe(`${digest}\n`);
    // Whoever names all of them has said it.
    expect(await run("delete R:doomed R:two --yes")).toMatchObject({
      code: 0,
      stdout: `${repository.label}@${digest}\n`,
    });
    expect(await run("digest R:two")).toMatchObject({ code: 3 });
    expect(await run("delete R:doomed --yes")).toMatchObject({ code: 3 });
    expect(await run("delete R:doomed --yes --ignore-missing")).toMatchObject({ code: 0 });
    expect(await run("delete R --yes")).toMatchObject({ code: 2 });
  });
});

describe("copy", () => {
  test("to another registry sends what is missing, once; the last line is what the copy is called", async () => {
    const { digest } = image.manifest;
    const first = await run("copy R:1.0 O/mirror/app");
    expect(first).toMatchObject({ code: 0, stdout: `${other.host}/mirror/app@${digest}\n` });
    expect(lines(first.stderr).filter((line) => line.startsWith("copied sha256:"))).toHaveLength(3);
    expect(first.stderr).toContain(
      `copied ${repository.label}:1.0 to ${other.host}/mirror/app:1.0: 1 manifest, 3 blobs (`,
    );
    const second = await run("copy R:1.0 O/mirror/app:again");
    expect(second.stderr).toBe(
      `copied ${repository.label}:1.0 to ${other.host}/mirror/app:again: 1 manifest\n`,
    );
    expect((await run("copy R:1.0 O/mirror/app")).stderr).toBe(
      `${other.host}/mirror/app:1.0 is there already\n`,
    );
    expect(lines((await run("ls O/mirror/app")).stdout)).toEqual(["1.0", "again"]);
  });

  test("within a registry moves no byte", async () => {
    const { stdout } = await run("copy R:1.0 H/mirror/one --format json");
    expect(JSON.parse(stdout)).toMatchObject([{ bytes: 0, blobs: { copied: 0, mounted: 3 } }]);
  });

  test("of all tags leaves what is there alone with -n, and writes nothing with --dry-run", async () => {
    expect((await run("copy -a R O/mirror/dry --dry-run")).code).toBe(0);
    expect(await run("ls O/mirror/dry")).toMatchObject({ code: 3 });
    const all = await run("cp -a R O/mirror/all -j8 --progress none");
    expect(all.code).toBe(0);
    expect(lines((await run("ls O/mirror/all")).stdout)).toEqual(lines((await run("ls R")).stdout));
    await run("tag O/mirror/all:1.0 main");
    await run("copy -an R O/mirror/all");
    expect((await run("digest O/mirror/all:main")).stdout).toBe(`${image.manifest.digest}\n`);
  });

  test("of all tags goes on behind one that fails, and ends with 10", async () => {
    const broken = new RegistryClient().repository(`${registry.host}/team/broken`);
    await pushImage(broken, { tag: "good", seed: 21 });
    await pushImage(broken, { tag: "better", seed: 22 });
    registry.faults.add({
      kind: "answer",
      status: 404,
      path: /\/team\/broken\/manifests\/better$/,
      times: 9,
    });
    const ran = await run("copy -a H/team/broken O/mirror/broken --progress none");
    expect(ran.code).toBe(10);
    expect(lines(ran.stdout)).toHaveLength(1);
    expect(ran.stderr).toContain("1 of 2 tags were not copied");
  });

  test("takes all platforms, or those that are named", async () => {
    const mediaType = "application/vnd.oci.image.index.v1+json";
    const children = await Promise.all(
      ["amd64", "arm64"].map((architecture, at) =>
        pushImage(repository, { tag: null, seed: 40 + at, architecture }),
      ),
    );
    const manifests = children.map(({ manifest }, at) => ({
      ...descriptorOf(manifest),
      platform: { os: "linux", architecture: at === 0 ? "amd64" : "arm64" },
    }));
    const index = manifestFrom({ schemaVersion: 2, mediaType, manifests }, mediaType);
    await repository.putManifest(index, { tags: ["multi"] });
    const has = async (target: string, digest: string) =>
      (await cli(["manifest", "head", `${other.host}/mirror/${target}@${digest}`])).code === 0;
    await run("copy R:multi O/mirror/every");
    for (const { digest } of [index, ...manifests]) expect(await has("every", digest)).toBe(true);
    const [amd64, arm64] = manifests.map(({ digest }) => digest);
    expect((await run("copy R:multi O/mirror/arm --platform linux/arm64")).stdout).toBe(
      `${other.host}/mirror/arm@${arm64}\n`,
    );
    expect(await has("arm", amd64 ?? "")).toBe(false);
    expect((await run("copy R:multi O/mirror/none --platform linux/s390x")).code).toBe(3);
    expect(
      JSON.parse((await run("inspect R:multi --platform linux/arm64 --format json")).stdout),
    ).toMatchObject({
      digest: arm64,
      index: index.digest,
      platform: "linux/arm64",
      platforms: ["linux/amd64", "linux/arm64"],
    });
    await run(`delete R@${index.digest} --all-tags --yes`);
  });

  test("brings what refers to an image along when asked to", async () => {
    const { manifest } = image;
    const subject = {
      mediaType: manifest.mediaType,
      digest: manifest.digest,
      size: manifest.bytes.byteLength,
    };
    const signature = await pushImage(repository, {
      tag: null,
      seed: 31,
      extra: { subject, artifactType: "x/sig" },
    });
    await run("copy R:1.0 O/mirror/plain");
    const name = (target: string) => `${other.host}/mirror/${target}@${signature.manifest.digest}`;
    expect((await cli(["manifest", "head", name("plain")])).code).toBe(3);
    await run("copy R:1.0 O/mirror/signed --referrers");
    expect((await cli(["manifest", "head", name("signed")])).code).toBe(0);
  });
});

describe("failures", () => {
  const table: readonly (readonly [string, number, string])[] = [
    ["digest R:absent", 3, "error: resolve HOST/team/app:absent: manifest unknown (MANIFEST_UNKNOWN, 404)\n"],
    ["inspect R:absent", 3, "error: pull HOST/team/app:absent: manifest unknown (MANIFEST_UNKNOWN, 404)\n"],
    ["ls H/none/such", 3, "error: list HOST/none/such: "],
    ["ls 127.0.0.1:1/team/app", 8, "error: list 127.0.0.1:1/team/app: cannot reach 127.0.0.1:1: "],
    ["ls UPPER", 2, 'error: ls: invalid reference "UPPER"'],
    ["ls R:1.0", 2, "is an image; wanted a repository"],
    ["blob get R:1.0", 2, "has no digest; wanted REPO@sha256:"],
    ["copy R:1.0", 2, "error: copy: DST is missing\nhint: run `stowage copy --help`\n"],
    ["copy R:1.0 O/x -j 0", 2, '--jobs is "0"; wanted a number from 1 to 64'],
    ["copy oci:folder O/x", 2, '"oci:folder" is a file or folder; wanted `stowage push`'],
    [
      "copy R:1.0 docker-archive:x.tar",
      2,
      '"docker-archive:x.tar" is a file or folder; wanted `stowage pull`',
    ],
    ["ls R --sort nmae", 2, '--sort is "nmae"; wanted name, semver, pushed or size; did you mean name?'],
    ["ls R --since yesterday", 2, '--since is "yesterday"'],
    ["tag R:1.0 a/b", 2, '"a/b" is no tag'],
  ];
  test.each(table)("%s ends with %d", async (line, code, text) => {
    const ran = await run(line);
    expect({ code: ran.code, stdout: ran.stdout }).toEqual({ code, stdout: "" });
    expect(ran.stderr.replaceAll(registry.host, "HOST")).toContain(text);
  });

  test("a signal ends a copy with its own code, and says nothing", async () => {
    const big = blobOf(noise(2_000_000, 99));
    await putBlob(repository, big);
    const { Interrupted } = await import("../../packages/cli/src/process-world.ts");
    const ran = await run("copy R:1.0 O/mirror/late", { signal: AbortSignal.abort(new Interrupted(130)) });
    expect(ran).toMatchObject({ code: 130, stdout: "", stderr: "" });
  });
});
