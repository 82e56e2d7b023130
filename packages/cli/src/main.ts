#!/usr/bin/env bun

// Data folders and backups hold keys, hashes of passwords and images: nobody else's business on this machine.
process.umask(0o077);

// Under this name docker runs a credential helper: an executable of one file sees it here.
const isHelper = /(?:^|[\\/])docker-credential-[^\\/]*$/.test(process.argv0);
const words = isHelper ? ["auth", "helper", ...process.argv.slice(2)] : process.argv.slice(2);

if (words.length === 1 && (words[0] === "--version" || words[0] === "version")) {
  // process.stdout alone takes longer to load than all of this.
  const { versionLine } = await import("./version-line.ts");
  await Bun.write(Bun.stdout, versionLine());
} else {
  const { processWorld } = await import("./process-world.ts");
  const { runStowage } = await import("./run.ts");
  process.exit(await runStowage(words, processWorld(process.env)));
}

export {};
