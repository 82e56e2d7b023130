import { describe, expect, test } from "bun:test";
import { startRegistry } from "@stowage/server/testing";
import { blobOf } from "../../support/content.ts";
import { dockerImage, pushTo } from "../../support/docker-image.ts";
import { TABLE_ROWS, tableDifferences } from "../../support/method-table.ts";
import { openSchema1 } from "../../support/schema1.ts";
import { answerOf, shell } from "../../support/shell.ts";
import { program, suite } from "../../support/suite.ts";
import { errorCode, TestApp } from "../../support/test-app.ts";

/** A tutorial about a private registry: what is in it, asked with curl, and an image on top of CentOS in schema 1. */

const EMPTY = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4";
const LAYERS = [blobOf("CentOS"), blobOf("locales")];

/** What docker 18 wrote into `config` and `container_config` of the image that is shown. */
const RUN = {
  Hostname: "",
  Domainname: "",
  User: "",
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=en_US.UTF-8"],
  Cmd: null,
  ArgsEscaped: true,
  Image: blobOf("the image below").digest,
  Volumes: null,
  WorkingDir: "",
  Entrypoint: ["/usr/sbin/init"],
  OnBuild: null,
  Labels: { "build-date": "20170911", license: "GPLv2", name: "CentOS Base Image", vendor: "CentOS" },
};

const CONTAINER = "55".repeat(32);
const CONFIG = {
  author: "somebody<somebody@example.com>",
  config: RUN,
  container: CONTAINER,
  container_config: {
    ...RUN,
    Hostname: CONTAINER.slice(0, 12),
    Cmd: ["/bin/sh", "-c", "#(nop) ", 'ENTRYPOINT ["/usr/sbin/init"]'],
  },
  created: "2019-07-30T07:47:51.771891821Z",
  docker_version: "18.09.7",
};

/** The newest step sets the entrypoint and changes no file. */
const PHP = dockerImage({
  layers: LAYERS,
  config: CONFIG,
  history: [
    { created: "2017-09-11T00:00:00Z", created_by: "ADD centos.tar.xz /" },
    { created: "2019-07-30T07:47:50Z", created_by: "RUN localedef" },
    { created: CONFIG.created, created_by: 'ENTRYPOINT ["/usr/sbin/init"]', empty_layer: true },
  ],
});

const TAGS = ["0.0.3", "0.0.4", "latest"];

async function start(...args: readonly string[]) {
  const registry = await startRegistry({ args });
  for (const tag of TAGS) await pushTo(registry, "php72-base", tag, PHP);
  await pushTo(registry, "nginx", "latest", PHP);
  return registry;
}

suite("the tutorial's curl calls", [program("curl")], () => {
  async function curl(registry: { readonly host: string }, path: string, options = ""): Promise<string> {
    const line = `curl ${options} -X GET http://docker-registry.com.cc:5000${path}`;
    const ran = await shell(line.replace("docker-registry.com.cc:5000", registry.host));
    expect(ran.code).toBe(0);
    return ran.stdout;
  }

  test("the catalog has both repositories, in the order of their names", async () => {
    await using registry = await start();
    expect(await curl(registry, "/v2/_catalog")).toBe('{"repositories":["nginx","php72-base"]}');
  });

  test("the tags of a repository are the text that is shown", async () => {
    await using registry = await start();
    expect(await curl(registry, "/v2/php72-base/tags/list")).toBe(
      '{"name":"php72-base","tags":["0.0.3","0.0.4","latest"]}',
    );
  });

  test("--schema1 table: a tag's manifest begins as it is shown, to the letter, indented by three spaces", async () => {
    await using registry = await start("--schema1", "table");
    expect(await curl(registry, "/v2/php72-base/manifests/0.0.3")).toStartWith(`{
   "schemaVersion": 1,
   "name": "php72-base",
   "tag": "0.0.3",
   "architecture": "amd64",
   "fsLayers": [
      {
         "blobSum": "${EMPTY}"
      },
      {
         "blobSum": "${LAYERS[1]?.digest}"
      },
      {
         "blobSum": "${LAYERS[0]?.digest}"
      }
   ],
   "history": [
      {
         "v1Compatibility": "{\\"architecture\\":\\"amd64\\",\\"author\\":\\"somebody\\\\u003csomebody@example.com\\\\u003e\\",\\"config\\":{\\"Hostname\\":\\"\\",`);
  });

  test("by default a tag's manifest is schema 2: its config and layers by digest and size, no history", async () => {
    await using registry = await start();
    const { headers, body } = answerOf(await curl(registry, "/v2/php72-base/manifests/0.0.3", "-i"));
    expect(headers.get("Content-Type")).toBe(PHP.mediaType);
    expect(JSON.parse(body)).toMatchObject({
      schemaVersion: 2,
      config: { digest: PHP.config.digest, size: PHP.config.bytes.byteLength },
      layers: LAYERS.map(({ digest, bytes }) => ({ digest, size: bytes.byteLength })),
    });
    expect(body).not.toContain("v1Compatibility");
  });
});

describe("the newest entry of the history", () => {
  async function converted() {
    await using app = new TestApp({ schema1: "table" });
    await app.pushImage("php72-base", "0.0.3", PHP);
    const answer = await app.request("GET", "/v2/php72-base/manifests/0.0.3");
    const bytes = await answer.bytes();
    const { history, signatures } = JSON.parse(Buffer.from(bytes).toString());
    const texts: readonly string[] = history.map(
      (entry: { v1Compatibility: string }) => entry.v1Compatibility,
    );
    return { bytes, signatures, texts, entries: texts.map((text) => JSON.parse(text)) };
  }

  test("has the members that are shown, in their order, with throwaway for a step that changed no file", async () => {
    const [newest, before] = (await converted()).entries;
    expect(Object.keys(newest)).toEqual([
      ...["architecture", "author", "config", "container", "container_config", "created"],
      ...["docker_version", "id", "os", "parent", "throwaway"],
    ]);
    expect(newest).toEqual({
      ...CONFIG,
      architecture: "amd64",
      os: "linux",
      id: expect.stringMatching(/^[0-9a-f]{64}$/),
      parent: before.id,
      throwaway: true,
    });
  });

  test("has config and container_config member by member: Env, Cmd, Entrypoint and the labels of CentOS", async () => {
    const [newest] = (await converted()).entries;
    expect(Object.keys(newest.config)).toEqual(Object.keys(RUN));
    expect(Object.keys(newest.container_config)).toEqual(Object.keys(RUN));
    for (const [name, value] of Object.entries(RUN))
      expect([name, newest.config[name]]).toEqual([name, value]);
    expect(newest.container_config.Hostname).toBe(newest.container.slice(0, 12));
    expect(newest.container_config.Cmd.at(-1)).toBe('ENTRYPOINT ["/usr/sbin/init"]');
  });

  test("escapes the brackets of an address as Go does", async () => {
    const [text] = (await converted()).texts;
    expect(text).toContain('"author":"somebody\\u003csomebody@example.com\\u003e"');
  });

  test("the entries behind it name their parents, and what made them", async () => {
    const [, second, third] = (await converted()).entries;
    expect(second).toMatchObject({ parent: third.id, container_config: { Cmd: ["RUN localedef"] } });
    expect(third.parent).toBeUndefined();
    expect([second.throwaway, third.throwaway]).toEqual([undefined, undefined]);
  });

  test("behind the history, which the tutorial cuts off, is a signature that is right", async () => {
    const { bytes, signatures } = await converted();
    expect(openSchema1(bytes).kids).toHaveLength(1);
    expect(signatures).toEqual([
      {
        header: {
          jwk: {
            crv: "P-256",
            kid: expect.any(String),
            kty: "EC",
            x: expect.any(String),
            y: expect.any(String),
          },
          alg: "ES256",
        },
        signature: expect.any(String),
        protected: expect.any(String),
      },
    ]);
  });
});

describe("the tutorial's table of methods", () => {
  test.each(TABLE_ROWS)("%s %s, the HEAD forms included", async (method, path) => {
    expect(await tableDifferences([method, path])).toEqual([]);
  });

  test("POST with digest takes the whole blob in one request", async () => {
    await using app = new TestApp();
    const [{ bytes, digest } = blobOf("")] = LAYERS;
    const done = await app.request("POST", `/v2/php72-base/blobs/uploads/?digest=${digest}`, { body: bytes });
    expect([done.status, done.headers.get("Location")]).toEqual([201, `/v2/php72-base/blobs/${digest}`]);
  });
});

test("there is no page at / yet", async () => {
  await using app = new TestApp();
  const answer = await app.request("GET", "/");
  expect([answer.status, await errorCode(answer)]).toEqual([404, "ROUTE_UNKNOWN"]);
});
