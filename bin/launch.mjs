// Finds the pinned Bun, and installs the locked dependencies when they are missing or stale. Plain Node, no
// dependency: on a fresh clone there is nothing else yet.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const LOCK = join(ROOT, "package-lock.json");

/** Says for which lock file was installed; `bin/stowage` looks only whether it is the newer one. */
const STAMP = join(ROOT, "node_modules", ".stowage-installed");

/** Path of a Bun that starts; installs first if that is needed. Exits with a message when it cannot. */
export function requireBun() {
  const lock = createHash("sha256").update(readFileSync(LOCK)).digest("hex");
  const isFresh = existsSync(STAMP) && readFileSync(STAMP, "utf8") === lock;
  if (!isFresh) install(lock);
  else if (statSync(STAMP).mtimeMs <= statSync(LOCK).mtimeMs) writeFileSync(STAMP, lock);
  const bun = join(ROOT, "node_modules", "bun", "bin", "bun.exe");
  if (starts(bun)) return bun;
  // npm can be told to skip install scripts; Bun's own puts the binary of this platform in its place.
  spawnSync(process.execPath, [join(ROOT, "node_modules", "bun", "install.js")], { stdio: "inherit" });
  if (starts(bun)) return bun;
  fail("the pinned Bun does not start; remove node_modules and try again");
}

function install(lock) {
  process.stderr.write("stowage: installing the locked dependencies (npm ci)\n");
  // npm's own words go to standard error: standard output belongs to the command.
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: ROOT,
    stdio: ["ignore", 2, 2],
  });
  if (status !== 0) fail("npm ci failed; see its message above");
  writeFileSync(STAMP, lock);
}

function starts(bun) {
  return existsSync(bun) && spawnSync(bun, ["--version"], { stdio: "ignore" }).status === 0;
}

function fail(message) {
  process.stderr.write(`error: ${message}\n`);
  process.exit(1);
}

/** Runs Bun with `args` in place of this process: same streams, signals passed on, same end. */
export function runBun(args) {
  const child = spawn(requireBun(), args, { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
