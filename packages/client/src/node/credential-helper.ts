import { spawn } from "node:child_process";
import { ClientError } from "../client-error.ts";
import type { Credentials } from "../credentials.ts";
import { credentialsOf, isJsonObject, TOKEN_USERNAME } from "./auth-entry.ts";
import { hasCode } from "./replace-file.ts";

/** Longest that a helper may take, in milliseconds: somebody may have to unlock a keychain first. */
const HELPER_MS_MAX = 60_000;

/** Longest answer of a helper, in bytes. */
const OUTPUT_BYTES_MAX = 256 * 1024;

/** Longest part of a helper's message that is shown, in characters. */
const MESSAGE_LENGTH_MAX = 200;

/** How every helper says that it has nothing (docker-credential-helpers, "credentials"). */
const NOT_FOUND = "credentials not found in native keychain";

/** A file that somebody else wrote names the program: nothing but a helper is ever run. */
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

export interface HelperOptions {
  /** Environment of the helper; its PATH says where the helper is. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What names the helper, for messages. */
  readonly where: string;
  /** Longest that it may take, in milliseconds. */
  readonly msMax?: number;
}

type Action = "get" | "store" | "erase" | "list";

/** A program `docker-credential-<name>`, which speaks the protocol of docker-credential-helpers over its streams. */
export class CredentialHelper {
  readonly program: string;
  readonly #options: HelperOptions;

  /** @throws ClientError `invalid` when `name` can be no helper */
  constructor(name: string, options: HelperOptions) {
    if (!NAME.test(name)) {
      throw new ClientError(
        "invalid",
        `${options.where} names the credential helper ${JSON.stringify(name.slice(0, 100))}; wanted letters, digits, "_" and "-"`,
      );
    }
    this.program = `docker-credential-${name}`;
    this.#options = options;
  }

  /** What the helper has for `server`, or null. @throws ClientError */
  async get(server: string): Promise<Credentials | null> {
    const output = await this.#run("get", server);
    const answer = output === null ? null : this.#parse(output);
    if (answer === null) return null;
    const { Username: username, Secret: secret } = answer;
    if (typeof username !== "string" || typeof secret !== "string") throw this.#odd();
    return secret === "" ? null : credentialsOf(username, secret);
  }

  /** @throws ClientError; a registry token has no place in a helper */
  async store(server: string, credentials: Credentials): Promise<void> {
    if (credentials.kind === "registry-token") {
      throw new ClientError(
        "invalid",
        `${this.program} keeps passwords and identity tokens; this is neither`,
      );
    }
    const [username, secret] =
      credentials.kind === "password"
        ? [credentials.username, credentials.password]
        : [TOKEN_USERNAME, credentials.token];
    await this.#run("store", JSON.stringify({ ServerURL: server, Username: username, Secret: secret }));
  }

  /** Resolves with false when there was nothing. @throws ClientError */
  async erase(server: string): Promise<boolean> {
    return (await this.#run("erase", server)) !== null;
  }

  /** Servers and the names used there. @throws ClientError */
  async list(): Promise<ReadonlyMap<string, string>> {
    const output = await this.#run("list", "");
    const servers = output === null || output.trim() === "" ? {} : this.#parse(output);
    return new Map(
      Object.entries(servers).flatMap(([server, name]) => (typeof name === "string" ? [[server, name]] : [])),
    );
  }

  async #run(action: Action, input: string): Promise<string | null> {
    const { code, output } = await runProgram(this.program, action, { ...this.#options, input });
    if (code === 0) return output;
    // Helpers write their errors to standard output as well.
    if (output.includes(NOT_FOUND)) return null;
    const said = output
      .trim()
      .replaceAll(/\p{C}+/gu, " ")
      .slice(0, MESSAGE_LENGTH_MAX);
    throw new ClientError(
      "refused",
      `${this.program} ${action} failed: ${said === "" ? `exit code ${code}` : said}`,
    );
  }

  #parse(output: string): Readonly<Record<string, unknown>> {
    try {
      const value: unknown = JSON.parse(output);
      if (isJsonObject(value)) return value;
    } catch {
      // Without its text: it may hold a secret.
    }
    throw this.#odd();
  }

  #odd(): ClientError {
    return new ClientError(
      "refused",
      `${this.program} answers something else than the JSON object of a credential helper`,
    );
  }
}

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

async function runProgram(
  program: string,
  action: Action,
  { env, where, msMax = HELPER_MS_MAX, input }: HelperOptions & { readonly input: string },
): Promise<Ran> {
  // Without a shell, so the name is a name and nothing else.
  const child = spawn(program, [action], {
    env: { ...env },
    stdio: ["pipe", "pipe", "ignore"],
    windowsHide: true,
  });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const ended = new Promise<Ran>((resolve, reject) => {
    const stop = (why: string) => {
      child.kill("SIGKILL");
      // What the helper started itself may still hold the streams.
      child.stdout.destroy();
      child.stdin.destroy();
      reject(new ClientError("refused", `${program} ${action} ${why}`));
    };
    timer = setTimeout(() => stop(`did not end within ${msMax / 1_000} s`), msMax);
    child.stdout.on("data", (chunk: Uint8Array) => {
      bytes += chunk.byteLength;
      if (bytes <= OUTPUT_BYTES_MAX) chunks.push(chunk);
      else stop(`answers more than ${OUTPUT_BYTES_MAX} bytes`);
    });
    child.on("error", (cause) => {
      const why = hasCode(cause, "ENOENT") ? "it is not in PATH" : cause.message;
      reject(
        new ClientError("invalid", `${where} names the credential helper ${program}, but ${why}`, { cause }),
      );
    });
    child.on("close", (code) => resolve({ code, output: new TextDecoder().decode(join(chunks, bytes)) }));
  });
  // A helper that ends without reading is judged by how it ended.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  try {
    return await ended;
  } finally {
    clearTimeout(timer);
  }
}

function join(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}
