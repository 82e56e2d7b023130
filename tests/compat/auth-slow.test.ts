import { expect, test } from "bun:test";
import { join } from "node:path";
import { blobOf, seededBytes, type TestBlob } from "../support/content.ts";
import type { RegistryProcess } from "../support/registry-process.ts";
import { program, root, suite } from "../support/suite.ts";
import { basicHeader, PASSWORD, registryToken, startWithAccounts } from "./auth-registry.ts";
import { ContainerStorage } from "./container-storage.ts";
import { Dockerd } from "./dockerd.ts";
import { imageOfLayers, tarOf, writeLayout } from "./images.ts";
import { RecordingProxy } from "./recording-proxy.ts";
import { requestsSince, run, temporaryFolder } from "./support.ts";

const [docker, dockerd, podman] = [program("docker"), program("dockerd"), program("podman")];
const [crane, oras, regctl, skopeo] = [
  program("crane"),
  program("oras"),
  program("regctl"),
  program("skopeo"),
];
const TEST_MS_MAX = 110_000;

/** Life of a token, in seconds; clients take a shorter one for this long all the same. */
const TOKEN_SECONDS = 60;
/** A layer needs this long, in seconds, at this rate. */
const LAYER_SECONDS = 62;
const BYTES_PER_SECOND = 20_000;
const LAYER_BYTES = LAYER_SECONDS * BYTES_PER_SECOND;

suite(
  "a push that takes longer than its token",
  [docker, dockerd, podman, crane, oras, regctl, skopeo, root()],
  () => {
    test(
      "is finished by every client, and by one that never asks for another token",
      async () => {
        await using registry = await startWithAccounts({ args: ["--auth-token-time", `${TOKEN_SECONDS}s`] });
        await using proxy = new RecordingProxy(registry.url, { bytesPerSecond: BYTES_PER_SECOND });
        await using folder = await temporaryFolder();
        await using storage = await ContainerStorage.create();
        await using engine = await Dockerd.start({ docker: docker.path, dockerd: dockerd.path });
        const tar = tarOf({ "data.bin": seededBytes(LAYER_BYTES, 121) });
        const tarFile = join(folder.path, "layer.tar");
        await Bun.write(tarFile, tar);
        await writeLayout(join(folder.path, "layout"), imageOfLayers("amd64", [tar]), "v1");

        const at = (name: string) => `${proxy.host}/team/${name}:v1`;
        const call = async (...command: readonly string[]) =>
          await run(command, {
            cwd: folder.path,
            env: {
              HOME: folder.path,
              DOCKER_CONFIG: join(folder.path, ".docker"),
              REGISTRY_AUTH_FILE: join(folder.path, ".docker", "config.json"),
              XDG_DATA_HOME: folder.path,
            },
          });
        await call(crane.path, "auth", "login", proxy.host, "-u", "alice", "-p", PASSWORD);
        await engine.docker("login", "-u", "alice", "-p", PASSWORD, proxy.host);
        await engine.docker("import", tarFile, at("docker"));
        await storage.podman("import", "--quiet", tarFile, at("podman"));
        const plain = ["--to-plain-http", "--from-oci-layout"];
        const toRegistry = ["--dest-tls-verify=false", "oci:layout:v1", `docker://${at("skopeo")}`];
        await Promise.all([
          engine.docker("push", at("docker")),
          storage.podman("push", "--tls-verify=false", "--creds", `alice:${PASSWORD}`, at("podman")),
          call(skopeo.path, "--insecure-policy", "copy", ...toRegistry),
          call(crane.path, "push", "layout", at("crane")),
          call(oras.path, "cp", ...plain, "layout:v1", at("oras")),
          call(
            regctl.path,
            "--host",
            `reg=${proxy.host},tls=disabled`,
            "image",
            "copy",
            "ocidir://layout:v1",
            at("regctl"),
          ),
          pushInChunks(registry, blobOf(seededBytes(LAYER_BYTES, 122))),
        ]);

        const slow = (await requestsSince(registry, 0)).filter(
          ({ durationMs, method, status }) =>
            durationMs > TOKEN_SECONDS * 1_000 && ["PATCH", "PUT"].includes(method) && status < 300,
        );
        const repositories = new Set(slow.map(({ path }) => path.split("/")[3]));
        expect([...repositories].sort()).toEqual(["crane", "docker", "oras", "podman", "regctl", "skopeo"]);
        // These two keep no account of the time: they finished the upload with the ended token, then were told.
        const told = proxy.recorded.filter(({ challenge }) => challenge?.includes('error="invalid_token"'));
        expect(told.map(({ path }) => path).sort()).toEqual([
          "/v2/team/crane/manifests/v1",
          "/v2/team/oras/manifests/v1",
        ]);
      },
      TEST_MS_MAX,
    );
  },
);

/** A client that keeps its first token: a chunk each second, until the token has ended and after that. */
async function pushInChunks(registry: RegistryProcess, blob: TestBlob): Promise<void> {
  const token = await registryToken(registry, basicHeader("alice"), "repository:team/script:pull,push");
  const headers = { Authorization: `Bearer ${token}` };
  const uploads = `${registry.url}/v2/team/script/blobs/uploads/`;
  const begun = await fetch(uploads, { method: "POST", headers });
  let location = `${registry.url}${begun.headers.get("Location")}`;
  for (let from = 0; from < blob.bytes.byteLength; from += BYTES_PER_SECOND) {
    const body = blob.bytes.slice(from, from + BYTES_PER_SECOND);
    const range = { "Content-Range": `${from}-${from + body.byteLength - 1}` };
    const patched = await fetch(location, { method: "PATCH", headers: { ...headers, ...range }, body });
    expect(patched.status).toBe(202);
    location = `${registry.url}${patched.headers.get("Location")}`;
    await Bun.sleep(1_000);
  }
  expect((await fetch(uploads, { method: "POST", headers })).status).toBe(401);
  const finished = await fetch(`${location}?digest=${blob.digest}`, { method: "PUT", headers });
  expect(finished.status).toBe(201);
}
