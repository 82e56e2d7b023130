import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Digest } from "@stowage/oci/digest";
import type { RegistryProcess } from "../support/registry-process.ts";

/** What one command may take at most, in milliseconds; a client that hangs must not hang the suite. */
const COMMAND_MS_MAX = 120_000;

/** Longest output that is quoted in an error, in characters: the end of it tells what went wrong. */
const QUOTED_OUTPUT_LENGTH_MAX = 4_000;

export interface CommandOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Uint8Array<ArrayBuffer>;
  readonly timeoutMs?: number;
}

export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | null;
}

/** Runs a command to its end, whatever the end is. @throws Error when it takes too long */
export async function runAny(
  command: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const timeout = options.timeoutMs ?? COMMAND_MS_MAX;
  const child = Bun.spawn([...command], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdin: options.stdin ?? "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  const result = { stdout, stderr, exitCode: child.exitCode };
  if (child.signalCode !== null) throw failure(`was ended by ${child.signalCode}`, command, result);
  return result;
}

/** Runs a command that has to succeed. @throws Error with everything it printed */
export async function run(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const result = await runAny(command, options);
  if (result.exitCode !== 0) throw failure(`ended with ${result.exitCode}`, command, result);
  return result;
}

function failure(what: string, command: readonly string[], { stdout, stderr }: CommandResult): Error {
  const quoted = [stdout, stderr].map((text) => text.slice(-QUOTED_OUTPUT_LENGTH_MAX));
  return new Error(`${command.join(" ")} ${what}\nstdout: ${quoted[0]}\nstderr: ${quoted[1]}`);
}

/** A temporary folder that is removed at the end. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "stowage-compat-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export interface LoggedRequest {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly durationMs: number;
}

/** Where the log ends now; `requestsSince` gives what came after it. */
export function logMark(registry: RegistryProcess): number {
  return registry.log.length;
}

/** The requests in the registry's log after `mark`, in the order they were answered. */
export async function requestsSince(registry: RegistryProcess, mark: number): Promise<LoggedRequest[]> {
  // Lines are written in order, so once this request is in the log, all before it are.
  const path = `/v2/mark-${crypto.randomUUID()}/tags/list`;
  await (await fetch(`${registry.url}${path}`)).text();
  await until(`the log has ${path}`, () => registry.log.includes(path));
  const requests: LoggedRequest[] = [];
  for (const line of registry.log.slice(mark).split("\n")) {
    if (!line.includes('"message":"request"') || line.includes(path)) continue;
    requests.push(JSON.parse(line) as LoggedRequest);
  }
  return requests;
}

/** The requests that move bytes of blobs into the registry. */
export function blobWrites(requests: readonly LoggedRequest[]): string[] {
  return requests
    .filter(({ method, path }) => ["POST", "PATCH", "PUT"].includes(method) && path.includes("/blobs/"))
    .map(({ method, path, status }) => `${method} ${path} ${status}`);
}

/** The blob writes that the registry answers while `work` runs. */
export async function blobWritesDuring(
  registry: RegistryProcess,
  work: () => Promise<unknown>,
): Promise<string[]> {
  const mark = logMark(registry);
  await work();
  return blobWrites(await requestsSince(registry, mark));
}

/** Every how many milliseconds `until` looks again. */
const LOOK_INTERVAL_MS = 5;

/** Waits until `isTrue`. @throws Error when that takes longer than a minute */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`waited a minute in vain until ${what}`);
    await Bun.sleep(LOOK_INTERVAL_MS);
  }
}

export interface Stored {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly mediaType: string;
  /** What the registry says; what the bytes say is for the test to compute. */
  readonly digestHeader: string | null;
}

const MANIFEST_TYPES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];

/** A manifest as the registry gives it to a plain HTTP client. @throws Error unless it is there */
export async function fetchManifest(
  registry: RegistryProcess,
  repository: string,
  reference: string,
): Promise<Stored> {
  return await fetchStored(`${registry.url}/v2/${repository}/manifests/${reference}`);
}

/** A whole blob, in memory. @throws Error unless it is there */
export async function fetchBlob(
  registry: RegistryProcess,
  repository: string,
  digest: Digest | string,
): Promise<Stored> {
  return await fetchStored(`${registry.url}/v2/${repository}/blobs/${digest}`);
}

async function fetchStored(url: string): Promise<Stored> {
  const response = await fetch(url, { headers: { Accept: MANIFEST_TYPES.join(", ") } });
  if (response.status !== 200) throw new Error(`GET ${url}: ${response.status} ${await response.text()}`);
  return {
    bytes: new Uint8Array(await response.arrayBuffer()),
    mediaType: response.headers.get("Content-Type") ?? "",
    digestHeader: response.headers.get("Docker-Content-Digest"),
  };
}

export interface ManifestJson {
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly subject?: DescriptorJson;
  readonly config?: DescriptorJson;
  readonly layers?: readonly DescriptorJson[];
  readonly manifests?: readonly DescriptorJson[];
}

export interface DescriptorJson {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

export function parseManifest(bytes: Uint8Array): ManifestJson {
  return JSON.parse(new TextDecoder().decode(bytes)) as ManifestJson;
}
