import { stat } from "node:fs/promises";

/** Largest file, in bytes. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

/** Highest cost: 2^14 rounds are a second of a core. */
const COST_MAX = 14;

/** The file is looked at when somebody signs in, and at most this often, in milliseconds. */
const LOOK_INTERVAL_MS = 1_000;

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;

export type HtpasswdResult =
  | { readonly ok: true; readonly hashes: ReadonlyMap<string, string> }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Reads the text of an htpasswd file: `name:bcrypt hash` lines, `#` comments. All problems are reported at once. */
export function parseHtpasswd(text: string): HtpasswdResult {
  const hashes = new Map<string, string>();
  const problems: string[] = [];
  for (const [at, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    const [name, hash] = [line.slice(0, colon), line.slice(colon + 1)];
    const problem = colon <= 0 ? "wanted NAME:HASH" : problemOfEntry(name, hash, hashes);
    if (problem !== null) problems.push(`line ${at + 1}: ${problem}`);
    else hashes.set(name, hash);
  }
  return problems.length === 0 ? { ok: true, hashes } : { ok: false, problems };
}

function problemOfEntry(name: string, hash: string, others: ReadonlyMap<string, string>): string | null {
  if (name.length > 255 || /\p{Cc}/u.test(name)) return "the name is too long or has control characters";
  if (others.has(name)) return `"${name}" is there twice`;
  const cost = BCRYPT.exec(hash)?.[1];
  if (cost === undefined) {
    const form = /^\$apr1\$|^\{SHA\}|^\$[156]\$/.exec(hash)?.[0] ?? "another form";
    return `the hash of "${name}" is ${form}; wanted bcrypt: htpasswd -B FILE ${name}`;
  }
  if (Number(cost) < 4 || Number(cost) > COST_MAX) {
    return `the hash of "${name}" has cost ${Number(cost)}; wanted 4 to ${COST_MAX}`;
  }
  return null;
}

/** What of a log is used. */
interface Warnings {
  warn(message: string, fields: Readonly<Record<string, string>>): void;
}

/** An htpasswd file, read again when it changes. One that became unreadable leaves the last good entries in force. */
export class HtpasswdFile {
  readonly #path: string;
  readonly #log: Warnings;
  readonly #monotonic: () => number;
  #hashes: ReadonlyMap<string, string>;
  #seen: string;
  #lookedAt: number;
  #looking: Promise<void> | null = null;

  private constructor(
    path: string,
    seen: string,
    hashes: ReadonlyMap<string, string>,
    options: HtpasswdOptions,
  ) {
    this.#path = path;
    this.#seen = seen;
    this.#hashes = hashes;
    this.#log = options.log;
    this.#monotonic = options.monotonic;
    this.#lookedAt = options.monotonic();
  }

  /** @throws Error with every problem of the file */
  static async open(path: string, options: HtpasswdOptions): Promise<HtpasswdFile> {
    const { seen, result } = await read(path);
    if (!result.ok)
      throw new Error(`the htpasswd file "${path}" cannot be used: ${result.problems.join("; ")}`);
    return new HtpasswdFile(path, seen, result.hashes, options);
  }

  /** Hash of the account, or null. */
  async find(name: string): Promise<string | null> {
    await this.#look();
    return this.#hashes.get(name) ?? null;
  }

  /** One hash of each cost that is in use: what unknown names are compared with. */
  decoys(): readonly string[] {
    return [...new Map([...this.#hashes.values()].map((hash) => [hash.slice(0, 7), hash])).values()];
  }

  async #look(): Promise<void> {
    if (this.#monotonic() - this.#lookedAt < LOOK_INTERVAL_MS) return;
    this.#looking ??= this.#readAgain().finally(() => {
      this.#looking = null;
    });
    await this.#looking;
  }

  async #readAgain(): Promise<void> {
    this.#lookedAt = this.#monotonic();
    try {
      if ((await fingerprint(this.#path)) === this.#seen) return;
      const { seen, result } = await read(this.#path);
      this.#seen = seen;
      if (result.ok) this.#hashes = result.hashes;
      else this.#warn(result.problems.join("; "));
    } catch (error) {
      this.#warn(error instanceof Error ? error.message : String(error));
    }
  }

  #warn(problem: string): void {
    this.#log.warn("the htpasswd file cannot be used; its last good state stays in force", { problem });
  }
}

export interface HtpasswdOptions {
  readonly log: Warnings;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
}

async function fingerprint(path: string): Promise<string> {
  const { ino, mtimeMs, size } = await stat(path);
  return `${ino} ${mtimeMs} ${size}`;
}

async function read(path: string): Promise<{ readonly seen: string; readonly result: HtpasswdResult }> {
  try {
    const seen = await fingerprint(path);
    const file = Bun.file(path);
    if (file.size > FILE_BYTES_MAX) throw new Error(`it is larger than ${FILE_BYTES_MAX} bytes`);
    return { seen, result: parseHtpasswd(await file.text()) };
  } catch (cause) {
    throw new Error(`cannot read the htpasswd file "${path}"`, { cause });
  }
}
