import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { program } from "../tests/support/suite.ts";
import { WORKSPACE } from "../tests/support/registry-process.ts";
import { type ServerPlace, ServerProcess } from "./server-process.ts";

/** What is measured. */
export interface Target {
  readonly name: string;
  /** `static` serves the big file and nothing else: the limit of what a pull can reach. */
  readonly kind: "registry" | "static";
  /** Without a slash at the end. */
  readonly url: string;
  /** Null when somebody else runs it; then it can be neither restarted nor looked into. */
  readonly server: ServerProcess | null;
}

/** `--peer name=url` or `--peer name=cmd:...`. */
export interface PeerOption {
  readonly name: string;
  readonly source:
    { readonly kind: "url"; readonly url: string } | { readonly kind: "command"; readonly command: string };
}

export interface StartOptions {
  /** Temporary folder of the run. */
  readonly folder: string;
  /** What nginx serves. */
  readonly staticFolder: string;
  readonly peers: readonly PeerOption[];
}

type Command = (place: ServerPlace) => Promise<readonly string[]>;

/** Starts Stowage (the first one), every peer that this machine has, and those asked for. `stack` ends them. */
export async function startTargets(
  { folder, staticFolder, peers }: StartOptions,
  stack: AsyncDisposableStack,
): Promise<readonly Target[]> {
  const targets: Target[] = [];
  const start = async (name: string, command: Command, kind: Target["kind"] = "registry") => {
    const own = join(folder, name);
    await mkdir(own, { recursive: true });
    const readyPath = kind === "static" ? "/" : "/v2/";
    const server = stack.use(new ServerProcess({ name, folder: own, readyPath, command }));
    await server.start();
    targets.push({ name, kind, url: server.url, server });
  };
  await start("stowage", stowage);
  const v3 = process.env.DISTRIBUTION_V3 ?? "";
  if (v3 !== "") await start("distribution-v3", distribution(v3));
  const debian = program("docker-registry");
  if (debian.isMet) await start("docker-registry", distribution(debian.path));
  const nginx = program("nginx");
  if (nginx.isMet) await start("nginx", nginxServing(nginx.path, staticFolder), "static");
  for (const { name, source } of peers) {
    if (source.kind === "url") targets.push({ name, kind: "registry", url: source.url, server: null });
    else await start(name, custom(source.command));
  }
  return targets;
}

async function stowage({ port, dataDir }: ServerPlace): Promise<readonly string[]> {
  const main = join(WORKSPACE, "packages", "cli", "src", "main.ts");
  return [process.execPath, main, "serve", "--addr", `127.0.0.1:${port}`, "--data-dir", dataDir];
}

/** Distribution 2 and 3 read the same configuration. The descriptor cache is in the one that both ship. */
function distribution(binary: string): Command {
  return async ({ port, dataDir, folder }) => {
    const file = join(folder, "config.yml");
    const config = `version: 0.1
log:
  level: error
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: ${dataDir}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:${port}
`;
    await writeFile(file, config);
    return [binary, "serve", file];
  };
}

function nginxServing(binary: string, staticFolder: string): Command {
  return async ({ port, folder }) => {
    const file = join(folder, "nginx.conf");
    // Without tcp_nopush: on the loopback it costs nginx about a third, and nginx shall be the limit here.
    // One process in the foreground: it runs as who started it, may read the folder, and ends with one signal.
    const config = `daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 256; }
http {
  access_log off;
  sendfile on;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")}
  server {
    listen 127.0.0.1:${port};
    root ${staticFolder};
    location = / { return 200; }
  }
}
`;
    await writeFile(file, config);
    return [binary, "-p", folder, "-c", file];
  };
}

/** A command line of the user's, split at blanks, with its places filled in. */
function custom(command: string): Command {
  return async ({ port, dataDir }) =>
    command
      .split(/\s+/)
      .filter((word) => word !== "")
      .map((word) =>
        word
          .replaceAll("{addr}", `127.0.0.1:${port}`)
          .replaceAll("{port}", String(port))
          .replaceAll("{data}", dataDir),
      );
}

/** A peer as `--peer` says it, or null. Paths of commands are looked up when they start. */
export function parsePeer(text: string): PeerOption | null {
  const [, name = "", rest = ""] = /^([a-z0-9][a-z0-9._-]*)=(.+)$/i.exec(text) ?? [];
  if (rest.startsWith("cmd:")) return { name, source: { kind: "command", command: rest.slice(4) } };
  if (!/^https?:\/\/\S+$/.test(rest)) return null;
  return { name, source: { kind: "url", url: rest.replace(/\/+$/, "") } };
}
