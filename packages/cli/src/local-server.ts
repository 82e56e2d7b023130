import { compose } from "@stowage/server/compose";
import type { Settings } from "@stowage/server/config/settings";
import type { Connection } from "@stowage/server/http/exchange";
import { UPLOAD_PACE } from "@stowage/server/http/upload-pace";
import { requireRegistry } from "@stowage/server/maintenance/data-folder";
import { createLog } from "@stowage/server/observe/log";
import { socketPathOf } from "@stowage/server/serve";
import { type Call, callWith } from "./api-client.ts";

/** The registry of a data folder, whether a server runs on it or not. */
export interface LocalServer extends AsyncDisposable {
  /** Whether a server runs; otherwise this process has the folder until it is disposed. */
  readonly isRunning: boolean;
  readonly call: Call;
}

/** Who may open the data folder may do what its owner may. */
const OWN_CONNECTION: Connection = {
  remoteAddress: null,
  isLocal: true,
  isSecure: false,
  clientCertificate: null,
  uploadPace: UPLOAD_PACE,
  setIdleTimeout: () => undefined,
};

/**
 * Reaches the server by its socket, or takes the folder itself, without the jobs that a server has.
 * @throws Error when there is no registry in the folder, or somebody else has it
 */
export async function openLocalServer(settings: Settings): Promise<LocalServer> {
  const { dataDir } = settings;
  // Composing would make a new one where somebody mistyped --data-dir.
  requireRegistry(dataDir);
  const unix = socketPathOf(dataDir);
  const isRunning = await fetch("http://stowage/livez", { unix }).then(
    (response) => response.ok,
    () => false,
  );
  if (isRunning) {
    return {
      isRunning,
      // A run of the collector may be silent for longer than fetch waits by itself.
      call: callWith((request) => fetch(request, { unix, timeout: false })),
      [Symbol.asyncDispose]: async () => undefined,
    };
  }
  const log = createLog({
    level: "warn",
    format: "text",
    write: (lines) => process.stderr.write(lines),
    now: Date.now,
  });
  const onFatal = (error: unknown) => {
    throw error;
  };
  const system = await compose({ settings, log, isDraining: () => false, onFatal, background: false });
  return {
    isRunning,
    call: callWith((request) => system.app(request, OWN_CONNECTION)),
    [Symbol.asyncDispose]: () => system[Symbol.asyncDispose](),
  };
}
