import { describeError, type Log } from "../observe/log.ts";
import { openCertificateDoor } from "./certificate-door.ts";
import { type Door, type DoorOptions, openDoor } from "./door.ts";
import { readTlsMaterial, stampOf, type TlsFiles, type TlsMaterial } from "./tls-material.ts";

/** How often the files are looked at, in milliseconds. */
export const TLS_POLL_MS = 5_000;

export interface TlsOptions extends TlsFiles {
  readonly requireClientCertificate: boolean;
}

export interface TlsDoorOptions extends DoorOptions {
  readonly tls: TlsOptions;
  readonly pollMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A door whose certificates follow their files. */
export interface TlsDoors extends Door {
  /** Looks at the files now. Resolves when a changed certificate is in use, or was refused. */
  reload(): Promise<void>;
}

/**
 * Opens a door with the certificates of the files, and another one on the same port whenever they change; the old one
 * serves the connections that it has to their end.
 * @throws Error when the address is in use or the files cannot be used
 */
export async function openTlsDoors(options: TlsDoorOptions): Promise<TlsDoors> {
  const { tls, log, pollMs } = options;
  let stamp = await stampOf(tls);
  let material = await readTlsMaterial(tls);
  requireFreePort(options);
  let current = open(options, material);
  const { port } = current;
  const retiring = new Set<Door>();
  let closed = false;

  async function refresh(): Promise<void> {
    const seen = await stampOf(tls);
    if (seen === stamp || closed) return;
    try {
      const next = await readTlsMaterial(tls);
      // Written while it was read: the next look sees it whole.
      if ((await stampOf(tls)) !== seen || closed) return;
      stamp = seen;
      if (isSame(material, next)) return;
      const before = current;
      current = open({ ...options, port }, next);
      material = next;
      await retire(before, log);
      log.info("the TLS certificate was replaced: new connections get the new one");
    } catch (error) {
      stamp = seen;
      log.warn("the TLS files changed and cannot be used: the certificate from before stays in use", {
        error: describeError(error),
      });
    }
  }

  async function retire(door: Door, { warn }: Log): Promise<void> {
    // Connections that wait to be accepted by the old door are lost with it: two turns let it accept them first.
    for (let turn = 0; turn < 2; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    retiring.add(door);
    void door
      .retire()
      .catch((error: unknown) => warn("an old TLS door did not close", { error: describeError(error) }))
      .finally(() => retiring.delete(door));
  }

  let running: Promise<void> = Promise.resolve();
  const reload = () => (running = running.then(refresh));
  const timer = setInterval(() => void reload(), pollMs);
  timer.unref();
  const all = () => [current, ...retiring];
  const close = () => {
    closed = true;
    clearInterval(timer);
  };
  return {
    port,
    get pendingRequests() {
      return all().reduce((sum, door) => sum + door.pendingRequests, 0);
    },
    reload,
    retire: async () => void (await Promise.all(all().map((door) => door.retire()))),
    async drain() {
      close();
      await running;
      await Promise.all(all().map((door) => door.drain()));
    },
    async cut() {
      close();
      await Promise.all(all().map((door) => door.cut()));
    },
  };
}

function open(options: TlsDoorOptions, material: TlsMaterial): Door {
  const { clientCa } = material;
  if (clientCa === null) return openDoor(options, material);
  const requireCertificate = options.tls.requireClientCertificate;
  return openCertificateDoor({ ...options, clientCa, requireCertificate }, material);
}

function isSame(a: TlsMaterial, b: TlsMaterial): boolean {
  return a.cert === b.cert && a.key === b.key && a.clientCa === b.clientCa;
}

/**
 * Doors with TLS share their port with their successors, and would as readily share it with another server of the same
 * user: one that does not share finds out. @throws Error when the address is in use
 */
function requireFreePort({ hostname, port }: DoorOptions): void {
  if (port === 0) return;
  try {
    Bun.listen({ hostname, port, socket: { data: () => undefined } }).stop(true);
  } catch (cause) {
    throw new Error(`cannot listen on ${hostname} port ${port}: is it in use?`, { cause });
  }
}
