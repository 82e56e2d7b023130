import { chown, type FileHandle, lstat, mkdir, open, readlink, rename, stat, unlink } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ClientError } from "../client-error.ts";

/** Largest file that is read, in bytes; a configuration with a thousand registries has 200 KB. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

/** Bytes that are read at once. */
const READ_BYTES = 64 * 1024;

/** Between two looks at somebody else's lock, in milliseconds. */
const LOCK_POLL_MS = 25;

/** Looks at a lock that stays the same until it counts as left behind; it is held for milliseconds. */
const LOCK_POLLS_MAX = 80;

/** Edits that are tried again because another program wrote meanwhile. */
const EDITS_MAX = 10;

/** Links that are followed, as the system does it. */
const LINKS_MAX = 40;

/** The text of a file, or null when there is none. @throws ClientError that names the file */
export async function readSmallFile(path: string): Promise<string | null> {
  try {
    // Opening a pipe would wait for somebody who writes.
    if (!(await stat(path)).isFile()) throw new ClientError("invalid", `${path} is not a file`);
    await using file = await open(path, "r");
    return await readToEnd(file, path);
  } catch (cause) {
    if (hasCode(cause, "ENOENT", "ENOTDIR")) return null;
    throw cause instanceof ClientError ? cause : failed("read", path, cause);
  }
}

/** Whatever size it had before it was opened: it may be another file since, larger by an entry. */
async function readToEnd(file: FileHandle, path: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for (let length = 0; ;) {
    const { bytesRead, buffer } = await file.read(new Uint8Array(READ_BYTES), 0, READ_BYTES, null);
    if (bytesRead === 0) return text + decoder.decode();
    length += bytesRead;
    if (length > FILE_BYTES_MAX) throw tooLarge(path);
    text += decoder.decode(buffer.subarray(0, bytesRead), { stream: true });
  }
}

/**
 * Replaces the text of a file by what `edit` makes of it; null: nothing is to be changed. The file is whole at every moment, is for
 * its owner alone, and no edit of another process that works like this one is lost. One of a program without the lock is noticed
 * until just before the file is put in its place. @throws ClientError that names the file
 */
export async function editFile(path: string, edit: (text: string | null) => string | null): Promise<void> {
  const target = await followLinks(path);
  try {
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await using _lock = await lockFile(`${target}.lock`);
    for (let attempt = 0; attempt < EDITS_MAX; attempt++) {
      const before = await readSmallFile(target);
      const after = edit(before);
      if (after === null || (await putInPlace(target, before, after))) return;
    }
  } catch (cause) {
    throw cause instanceof ClientError ? cause : failed("write", path, cause);
  }
  throw new ClientError("conflict", `${path} is being written by another program; try again`);
}

/** Whether the file was still `before`, and is `after` now. */
async function putInPlace(target: string, before: string | null, after: string): Promise<boolean> {
  const temporary = `${target}.${crypto.randomUUID()}`;
  try {
    {
      await using file = await open(temporary, "wx", 0o600);
      await file.writeFile(after);
      await file.sync();
    }
    await keepOwner(target, temporary);
    if ((await readSmallFile(target)) !== before) {
      await unlink(temporary);
      return false;
    }
    await rename(temporary, target);
    return true;
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

/** Who calls it with sudo must still be able to read the file afterwards. */
async function keepOwner(from: string, to: string): Promise<void> {
  const owner = await stat(from).catch(() => null);
  if (owner !== null) await chown(to, owner.uid, owner.gid).catch(() => undefined);
}

async function lockFile(path: string): Promise<AsyncDisposable> {
  let seen = "";
  for (let looks = 0; ; looks++) {
    try {
      await using file = await open(path, "wx", 0o600);
      const own = identityOf(await file.stat());
      return {
        [Symbol.asyncDispose]: async () => {
          // Somebody may have taken it for left behind.
          const now = await identityAt(path);
          if (now === own) await unlink(path).catch(() => undefined);
        },
      };
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
    const now = await identityAt(path);
    if (now !== seen) looks = 0;
    seen = now;
    if (looks >= LOCK_POLLS_MAX) {
      // Whoever made it died. It goes under a name of its own first, so that only one of several takes it away.
      const aside = `${path}.${crypto.randomUUID()}`;
      await rename(path, aside).catch(() => undefined);
      await unlink(aside).catch(() => undefined);
      looks = 0;
    }
    await sleep(LOCK_POLL_MS);
  }
}

async function identityAt(path: string): Promise<string> {
  return await stat(path).then(identityOf, () => "");
}

function identityOf({ ino, mtimeMs }: { readonly ino: number; readonly mtimeMs: number }): string {
  return `${ino}/${mtimeMs}`;
}

/** Where a link leads in the end, also when nothing is there yet: a file that is renamed over a link would replace the link. */
async function followLinks(path: string): Promise<string> {
  let at = resolve(path);
  for (let links = 0; links < LINKS_MAX; links++) {
    const isLink = await lstat(at).then(
      (of) => of.isSymbolicLink(),
      () => false,
    );
    if (!isLink) return at;
    at = resolve(dirname(at), await readlink(at));
  }
  throw new ClientError("invalid", `${path} is a link that leads to itself`);
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.some((code) => code === error.code);
}

function failed(what: string, path: string, cause: unknown): ClientError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ClientError("invalid", `cannot ${what} ${path}: ${why}`, { cause });
}

function tooLarge(path: string): ClientError {
  return new ClientError(
    "invalid",
    `${path} is larger than ${FILE_BYTES_MAX} bytes; wanted a configuration of docker or podman`,
  );
}
