import { expect } from "bun:test";
import { join } from "node:path";
import type { RegistryProcess } from "../support/registry-process.ts";
import { program } from "../support/suite.ts";
import { layeredImage, writeLayout } from "./images.ts";
import { RecordingProxy } from "./recording-proxy.ts";
import { type CommandResult, runAny, temporaryFolder } from "./support.ts";

export const crane = program("crane");
export const oras = program("oras");
export const regctl = program("regctl");

/** What they push: two blobs and a manifest. */
export const image = layeredImage({ architecture: "amd64", layerCount: 1, seed: 101 });

const PLAIN = ["--plain-http"];

/** The command lines of a client. */
export interface Client {
  readonly name: string;
  readonly setUp?: (host: string) => readonly string[];
  readonly login: (host: string, name: string, password: string) => readonly string[];
  readonly logout: (host: string) => readonly string[];
  readonly digest: (reference: string) => readonly string[];
  /** Pushes the image of the folder `layout`. */
  readonly push: (reference: string) => readonly string[];
  readonly copy: (from: string, to: string) => readonly string[];
  readonly list: (host: string) => readonly string[];
  readonly remove: (reference: string) => readonly string[];
  /** Actions that it asks a token for when it deletes. */
  readonly removeScope: string;
}

export const CLIENTS: readonly Client[] = [
  {
    name: "crane",
    // crane checks no password when it keeps it: the first use does.
    login: (host, name, password) => [crane.path, "auth", "login", host, "-u", name, "-p", password],
    logout: (host) => [crane.path, "auth", "logout", host],
    digest: (reference) => [crane.path, "digest", reference],
    push: (reference) => [crane.path, "push", "layout", reference],
    copy: (from, to) => [crane.path, "copy", from, to],
    list: (host) => [crane.path, "catalog", host],
    remove: (reference) => [crane.path, "delete", reference],
    removeScope: "push,pull,delete",
  },
  {
    name: "oras",
    login: (host, name, password) => [oras.path, "login", ...PLAIN, host, "-u", name, "-p", password],
    logout: (host) => [oras.path, "logout", host],
    digest: (reference) => [oras.path, "resolve", ...PLAIN, reference],
    push: (reference) => [oras.path, "cp", "--from-oci-layout", "--to-plain-http", "layout:v1", reference],
    copy: (from, to) => [oras.path, "cp", "--from-plain-http", "--to-plain-http", from, to],
    list: (host) => [oras.path, "repo", "ls", ...PLAIN, host],
    remove: (reference) => [oras.path, "manifest", "delete", ...PLAIN, "--force", reference],
    removeScope: "delete,pull",
  },
  {
    name: "regctl",
    setUp: (host) => [regctl.path, "registry", "set", "--skip-check", "--tls", "disabled", host],
    login: (host, name, password) => [regctl.path, "registry", "login", host, "-u", name, "-p", password],
    logout: (host) => [regctl.path, "registry", "logout", host],
    digest: (reference) => [regctl.path, "image", "digest", reference],
    push: (reference) => [regctl.path, "image", "copy", "ocidir://layout:v1", reference],
    copy: (from, to) => [regctl.path, "image", "copy", from, to],
    list: (host) => [regctl.path, "repo", "ls", host],
    remove: (reference) => [regctl.path, "manifest", "delete", reference],
    removeScope: "delete",
  },
];

/** One who uses a client, with a home and a way to the registry of their own. */
export class User implements AsyncDisposable {
  readonly proxy: RecordingProxy;
  readonly host: string;
  readonly #folder: AsyncDisposable & { readonly path: string };

  private constructor(proxy: RecordingProxy, folder: AsyncDisposable & { readonly path: string }) {
    this.proxy = proxy;
    this.host = proxy.host;
    this.#folder = folder;
  }

  static async create({ setUp }: Client, { url }: RegistryProcess): Promise<User> {
    const folder = await temporaryFolder();
    await writeLayout(join(folder.path, "layout"), image, "v1");
    const user = new User(new RecordingProxy(url), folder);
    if (setUp !== undefined) await user.run(setUp(user.host));
    return user;
  }

  /** A reference by the address that this user knows. */
  readonly at = (name: string): string => `${this.host}/${name}`;

  get options() {
    const { path } = this.#folder;
    const env = {
      HOME: path,
      DOCKER_CONFIG: join(path, ".docker"),
      REGCTL_CONFIG: join(path, "regctl.json"),
    };
    return { cwd: path, env };
  }

  /** @throws Error with its output unless it succeeds */
  async run(command: readonly string[]): Promise<CommandResult> {
    const result = await runAny(command, this.options);
    if (result.exitCode !== 0) throw new Error(`${command.join(" ")}\n${result.stdout}${result.stderr}`);
    return result;
  }

  async refused(command: readonly string[], saying: RegExp): Promise<void> {
    const { exitCode, stdout, stderr } = await runAny(command, this.options);
    expect([command.join(" "), exitCode]).not.toEqual([command.join(" "), 0]);
    expect(`${stdout}${stderr}`).toMatch(saying);
  }

  /** Writes what docker would. */
  async keepIdentityToken(token: string): Promise<void> {
    const path = join(this.#folder.path, ".docker", "config.json");
    await Bun.write(path, dockerConfig(this.host, token));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }
}

export function dockerConfig(host: string, identitytoken: string): string {
  const auth = Buffer.from("alice:").toString("base64");
  return JSON.stringify({ auths: { [host]: { auth, identitytoken } } });
}
