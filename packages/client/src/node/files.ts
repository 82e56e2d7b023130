import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { quote } from "@stowage/oci/reference";
import { ClientError } from "../client-error.ts";

/** Bytes that are read at once. */
const READ_BYTES = 256 * 1024;

/** The bytes of an open file from `start` to before `end`. */
export async function* readRange(
  handle: FileHandle,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  for (let at = start; at < end;) {
    const { bytesRead, buffer } = await handle.read(
      new Uint8Array(Math.min(READ_BYTES, end - at)),
      0,
      Math.min(READ_BYTES, end - at),
      at,
    );
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Opens a file to read it; null when there is none. */
export async function openFile(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, "r");
  } catch (error) {
    if (isMissing(error)) return null;
    throw unusable("read", path, error);
  }
}

/** The bytes of a file from `start` on; it is open only while they are read. */
export async function* readFile(
  path: string,
  start: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  await using handle = await openFile(path);
  if (handle !== null) yield* readRange(handle, start, Number.MAX_SAFE_INTEGER);
}

/** Size of a plain file in bytes; null when there is none. */
export async function fileSize(path: string): Promise<number | null> {
  try {
    const found = await stat(path);
    return found.isFile() ? found.size : null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw unusable("read", path, error);
  }
}

/** A file that appears under its name complete or not at all. */
export class NewFile implements AsyncDisposable {
  readonly #path: string;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  #isOpen = true;

  private constructor(path: string, temporary: string, handle: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  /** @throws ClientError of kind `invalid` when it cannot be made */
  static async create(path: string): Promise<NewFile> {
    const temporary = `${path}.${crypto.randomUUID()}.partial`;
    try {
      return new NewFile(path, temporary, await open(temporary, "wx", 0o666));
    } catch (error) {
      throw unusable("write", path, error);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength;) {
      const { bytesWritten } = await this.#handle.write(bytes, at, bytes.byteLength - at);
      at += bytesWritten;
    }
  }

  /** Gives it its name; what was there is replaced. */
  async commit(): Promise<void> {
    await this.#handle.close();
    this.#isOpen = false;
    await rename(this.#temporary, this.#path);
  }

  /** Without a commit nothing is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.#handle.close();
    await rm(this.#temporary, { force: true });
  }
}

export function isMissing(error: unknown): boolean {
  return codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR";
}

export function unusable(action: string, path: string, cause: unknown): ClientError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ClientError("invalid", `cannot ${action} ${quote(path)}: ${why}`, { cause });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : null;
}
