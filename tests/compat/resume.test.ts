import { expect, test } from "bun:test";
import { join } from "node:path";
import { blobOf, digestOf, seededBytes } from "../support/content.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { program, suite } from "../support/suite.ts";
import { hexOf } from "./images.ts";
import {
  badGateway,
  killAndRestart,
  killInTheMiddle,
  type ProxiedRequest,
  startProxy,
} from "./interruption.ts";
import { digestOfFile, writeLargeImage } from "./large-image.ts";
import { regctlCommand, regctlProgram } from "./regctl.ts";
import { fetchBlob, logMark, requestsSince, run, temporaryFolder } from "./support.ts";

const skopeo = program("skopeo");
const crane = program("crane");
const MEBIBYTE = 1024 * 1024;
const CHUNK_BYTES = 8 * MEBIBYTE;
const TEST_MS_MAX = 120_000;

suite("a 1 GiB layer", [skopeo, crane], () => {
  test(
    "goes in with skopeo and out with crane bit for bit, and the registry's memory stays below 400 MiB",
    async () => {
      await using registry = await RegistryProcess.start();
      await using folder = await temporaryFolder();
      const layer = await writeLargeImage(join(folder.path, "in"), 1024 * MEBIBYTE);
      const target = `docker://${registry.host}/large/layer:v1`;
      const asIs = ["--quiet", "--preserve-digests", "--dest-tls-verify=false"];
      await run([skopeo.path, "--insecure-policy", "copy", ...asIs, `oci:${folder.path}/in:v1`, target]);
      const head = await fetch(`${registry.url}/v2/large/layer/blobs/${layer.digest}`, { method: "HEAD" });
      expect(head.headers.get("Content-Length")).toBe(String(layer.size));

      const out = join(folder.path, "out");
      await run([crane.path, "pull", "--format", "oci", `${registry.host}/large/layer:v1`, out]);
      expect(await digestOfFile(join(out, "blobs", "sha256", hexOf(layer.digest)))).toBe(layer.digest);
      expect(await peakMemoryBytes(registry.pid)).toBeLessThan(400 * MEBIBYTE);
    },
    TEST_MS_MAX,
  );
});

suite("an upload in chunks", [], () => {
  test(
    "goes on where GET says after the server was killed in the middle of a chunk",
    async () => {
      await using registry = await RegistryProcess.start();
      const blob = blobOf(seededBytes(6 * CHUNK_BYTES, 101));
      const started = await fetch(`${registry.url}/v2/resume/raw/blobs/uploads/`, { method: "POST" });
      expect(started.status).toBe(202);
      let location = locationOf(started);
      const acknowledged = 3 * CHUNK_BYTES;
      for (let start = 0; start < acknowledged; start += CHUNK_BYTES) {
        location = await patchChunk(registry, location, blob.bytes, start);
      }

      const sent = await killInTheMiddle(registry, {
        method: "PATCH",
        target: location,
        headers: { "Content-Range": `${acknowledged}-${acknowledged + CHUNK_BYTES - 1}` },
        body: blob.bytes.slice(acknowledged, acknowledged + CHUNK_BYTES),
      });

      const status = await fetch(`${registry.url}${location}`);
      expect(status.status).toBe(204);
      const offset = offsetOf(status);
      expect(offset).toBeGreaterThanOrEqual(acknowledged);
      expect(offset).toBeLessThanOrEqual(acknowledged + sent);
      location = locationOf(status);
      for (let start = offset; start < blob.bytes.byteLength; start += CHUNK_BYTES) {
        location = await patchChunk(registry, location, blob.bytes, start);
      }
      const url = new URL(location, registry.url);
      url.searchParams.set("digest", blob.digest);
      const finished = await fetch(url, { method: "PUT" });
      expect(finished.status).toBe(201);
      expect(finished.headers.get("Docker-Content-Digest")).toBe(blob.digest);
      expect(digestOf((await fetchBlob(registry, "resume/raw", blob.digest)).bytes)).toBe(blob.digest);
    },
    TEST_MS_MAX,
  );
});

suite("regctl", [regctlProgram], () => {
  const interruptions: readonly {
    readonly when: string;
    readonly intercept: (registry: RegistryProcess, request: ProxiedRequest) => Promise<Response | null>;
    /** Answers that only this interruption brings about. */
    readonly statuses: readonly string[];
  }[] = [
    {
      when: "in the middle of a chunk",
      async intercept(registry, request) {
        if (request.method !== "PATCH" || request.count !== 3) return null;
        await killInTheMiddle(registry, request);
        return badGateway();
      },
      statuses: [],
    },
    {
      when: "after it took a chunk but before its answer arrived",
      async intercept(registry, request) {
        if (request.method !== "PATCH" || request.count !== 3) return null;
        expect((await request.forward()).status).toBe(202);
        await killAndRestart(registry);
        return badGateway();
      },
      statuses: ["PATCH 416"],
    },
    {
      when: "after it finished the upload but before its answer arrived",
      async intercept(registry, request) {
        if (request.method !== "PUT" || request.count !== 1) return null;
        expect((await request.forward()).status).toBe(201);
        await killAndRestart(registry);
        return badGateway();
      },
      statuses: ["PUT 201"],
    },
  ];
  for (const { when, intercept, statuses } of interruptions) {
    test(
      `finishes a blob in chunks when the server is killed ${when}`,
      async () => {
        await using registry = await RegistryProcess.start();
        await using folder = await temporaryFolder();
        let interruptionsSeen = 0;
        let mark = 0;
        await using proxy = startProxy(registry, async (request) => {
          const answer = await intercept(registry, request);
          if (answer !== null) {
            interruptionsSeen += 1;
            mark = logMark(registry);
          }
          return answer;
        });
        const blob = blobOf(seededBytes(5 * CHUNK_BYTES + 12_345, 102));
        const env = { REGCTL_CONFIG: join(folder.path, "regctl.json") };
        const set = ["registry", "set", proxy.host, "--tls", "disabled", "--skip-check"];
        await run([regctlProgram.path, ...set, "--blob-chunk", String(CHUNK_BYTES)], { env });

        const put = regctlCommand(proxy.host, ["blob", "put", `${proxy.host}/resume/regctl`]);
        const { stdout } = await run(put, { env, stdin: blob.bytes });
        expect<string>(stdout.trim()).toBe(blob.digest);
        expect(interruptionsSeen).toBe(1);
        expect(digestOf((await fetchBlob(registry, "resume/regctl", blob.digest)).bytes)).toBe(blob.digest);
        const later = (await requestsSince(registry, mark)).map(
          ({ method, status }) => `${method} ${status}`,
        );
        expect(later).toEqual(expect.arrayContaining([...statuses]));
        // Not started over: that would be another POST.
        expect(later.filter((line) => line.startsWith("POST"))).toEqual([]);
      },
      TEST_MS_MAX,
    );
  }
});

/** Sends the chunk that starts at `start`; resolves with where the next one goes. */
async function patchChunk(
  registry: RegistryProcess,
  location: string,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
): Promise<string> {
  const end = Math.min(start + CHUNK_BYTES, bytes.byteLength);
  const answer = await fetch(`${registry.url}${location}`, {
    method: "PATCH",
    headers: { "Content-Range": `${start}-${end - 1}`, "Content-Type": "application/octet-stream" },
    body: bytes.slice(start, end),
  });
  if (answer.status !== 202) throw new Error(`PATCH ${start}-${end - 1}: ${answer.status}`);
  expect(offsetOf(answer)).toBe(end);
  return locationOf(answer);
}

function locationOf(answer: Response): string {
  return answer.headers.get("Location") ?? "no Location";
}

/** The number of bytes the registry has, from `Range: 0-<last byte>`. */
function offsetOf(answer: Response): number {
  return Number(/^0-(\d+)$/.exec(answer.headers.get("Range") ?? "")?.[1]) + 1;
}

/** The most memory the process ever had, in bytes (VmHWM, proc_pid_status(5)). */
async function peakMemoryBytes(pid: number): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`).text();
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error(`/proc/${pid}/status has no VmHWM`);
  return Number(kibibytes) * 1024;
}
