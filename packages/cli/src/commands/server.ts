import { readSettings, type Settings } from "@stowage/server/config/settings";
import { formatBytes } from "@stowage/server/maintenance/data-folder";
import { type Arguments, type OptionSpecs, UsageError } from "../arguments.ts";
import type { Call, Command, Entry, Group, Place } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { type LocalServer, openLocalServer } from "../local-server.ts";
import { settingArguments, settingOptions } from "../setting-options.ts";
import type { Sink } from "../world.ts";

/** A hold is asked for this long, and again after a third of it, in seconds. */
const HOLD_SECONDS = 600;

/** Time between two looks at a scrub that is running, in milliseconds. */
const SCRUB_LOOK_MS = 500;

/** Looks of which one is printed where no terminal is: a line in ten seconds. */
const SCRUB_LOOKS_PER_LINE = 20;

/** Findings that are asked for at once. */
const FINDINGS_PAGE = 500;

/** Other settings of `stowage serve` count where no server runs, for example --gc-grace. */
const SETTINGS_OPTIONS: OptionSpecs = {
  ...settingOptions({ isHidden: true }),
  "data-dir": { value: "DIR", help: "the registry's folder (default stowage-data, or STOWAGE_DATA_DIR)" },
};

const PLACE: Place = { name: "DIR|FILE.tar|-", completes: "file" };

export const SERVER: Group = {
  about: "Looks after the data folder of a registry, while its server runs or when none does.",
  commands: {
    gc: entry("free what nobody needs, now", {
      about: "Frees what nobody needs, now instead of in the background.",
      options: {
        "dry-run": { value: null, help: "say what there is to free" },
        purge: { value: null, help: "give up the right to undo deletions first" },
        resume: { value: null, help: "the clock is right again after a jump" },
      },
      examples: [{ line: "server gc --dry-run" }, { line: "server gc --purge --data-dir stowage-data" }],
      run: runGc,
    }),
    scrub: entry("read blobs again and compare them with their digests", {
      about:
        "Reads blobs again and compares them with their digests: those whose time has come. What is damaged is printed, and can be repaired by pushing it again.",
      options: { all: { value: null, help: "every blob" } },
      examples: [{ line: "server scrub --all" }],
      run: runScrub,
    }),
    check: entry("walk every invariant and print what is wrong", {
      about: "Walks every invariant of the data folder and prints what is wrong. It changes nothing.",
      options: { bytes: { value: null, help: "read the bytes of every blob, too" } },
      examples: [{ line: "server check --bytes --data-dir stowage-data" }],
      run: runCheck,
    }),
    backup: entry("copy the registry while it runs", {
      about:
        "Copies the registry while it runs: into a folder, which is brought up to date the next time, or as a tar file, to standard output with `-`.",
      place: PLACE,
      examples: [{ line: "server backup registry-backup" }, { line: "server backup - > registry.tar" }],
      run: runBackup,
    }),
    restore: entry("make a new data folder of a backup", {
      about: "Makes a new data folder of a backup; `-` reads a tar file from standard input.",
      place: PLACE,
      examples: [{ line: "server restore registry-backup --data-dir restored" }],
      run: runRestore,
    }),
    healthcheck: {
      summary: "ask the server of this machine whether it works",
      load: async () => (await import("./server-healthcheck.ts")).HEALTHCHECK,
    },
  },
  examples: [
    { line: "server gc --dry-run" },
    { line: "server check --bytes --data-dir stowage-data" },
    { line: "server backup registry-backup" },
    { line: "server restore registry-backup --data-dir restored-data" },
  ],
};

interface ServerCommand extends Pick<Command, "about" | "options" | "examples"> {
  readonly place?: Place;
  run(call: ServerCall): Promise<number>;
}

interface ServerCall {
  readonly settings: Settings;
  readonly args: Arguments;
  /** Where a backup goes or comes from; empty for the other commands. */
  readonly place: string;
  /** What is told while it goes on. */
  readonly stderr: Sink;
  /** Prints the result: JSON as it is, or what `text` makes of it. */
  print(result: unknown, text: () => string): void;
}

function entry(summary: string, { place, options = {}, ...rest }: ServerCommand): Entry {
  const command: Command = {
    ...rest,
    places: place === undefined ? [] : [place],
    options: { ...SETTINGS_OPTIONS, ...options },
    shared: ["output"],
    run: (call) => runWithSettings(call, rest.run),
  };
  return { summary, load: async () => command };
}

async function runWithSettings(
  { name, args, output, world }: Call,
  run: ServerCommand["run"],
): Promise<number> {
  const result = readSettings({ args: settingArguments(args), env: world.env });
  if (!result.ok) throw new UsageError(result.problems.join("; "));
  const [place = ""] = args.places;
  // With the backup itself on standard output, nothing else may be there.
  const out = name === "server backup" && place === "-" ? output.on(world.stderr) : output;
  const print = (value: unknown, text: () => string) => out.print({ value, text });
  return await run({ settings: result.settings, args, place, stderr: world.stderr, print });
}

interface Report {
  readonly [figure: string]: number;
}

async function runGc({ settings, args, print }: ServerCall): Promise<number> {
  await using server = await openLocalServer(settings);
  if (args.has("dry-run")) {
    const preview = (await server.call("GET", "/gc")) as Readonly<Record<string, Report>>;
    print(preview, () => describePreview(preview));
    return EXIT.ok;
  }
  const options = { purge: args.has("purge"), resume: args.has("resume") };
  const report = (await server.call("POST", "/gc", options)) as Report;
  print(report, () => describeReport(report));
  return EXIT.ok;
}

function describePreview(preview: Readonly<Record<string, unknown>>): string {
  const { collectable, tombstoned, deletions, holds } = preview as {
    collectable: Report;
    tombstoned: Report;
    deletions: number;
    holds: number;
  };
  return `collectable now:   ${collectable.blobs} blobs, ${formatBytes(collectable.bytes ?? 0)}
waiting for grace: ${tombstoned.objects} objects, ${formatBytes(tombstoned.bytes ?? 0)}
can be undone:     ${deletions} deletions
${holds > 0 ? `held:              by ${holds} backups: no object is deleted meanwhile\n` : ""}`;
}

function describeReport(report: Report): string {
  const { pausedMs = 0, blobsCollected, bytesCollected = 0, objectsDeleted, bytesFreed = 0 } = report;
  if (pausedMs > 0) {
    return `paused: the clock was set; it goes on in ${Math.ceil(pausedMs / 1_000)} s, or with --resume now\n`;
  }
  return `freed:             ${objectsDeleted} objects, ${formatBytes(bytesFreed)}
waiting for grace: ${blobsCollected} blobs more, ${formatBytes(bytesCollected)}
ended:             ${report.uploadsExpired} uploads, ${report.deletionsEnded} deletions and their content, ${report.untaggedDeleted} untagged manifests
`;
}

interface ScrubAnswer {
  readonly running: boolean;
  readonly blobs: number;
  readonly bytes: number;
  readonly findings: number;
  readonly endedEarly: boolean;
}

async function runScrub({ settings, args, print, stderr }: ServerCall): Promise<number> {
  await using server = await openLocalServer(settings);
  let status = (await server.call("POST", "/scrub", { all: args.has("all") })) as ScrubAnswer;
  const { isTerminal } = stderr;
  for (let look = 1; status.running; look++) {
    await Bun.sleep(SCRUB_LOOK_MS);
    status = (await server.call("GET", "/scrub")) as ScrubAnswer;
    const progress = `${status.blobs} blobs, ${formatBytes(status.bytes)} read, ${status.findings} damaged`;
    if (isTerminal) stderr.write(`\r${progress}`);
    else if (look % SCRUB_LOOKS_PER_LINE === 0) stderr.write(`${progress}\n`);
  }
  if (isTerminal) stderr.write("\n");
  const findings = await listFindings(server, status.findings);
  print({ ...status, findings }, () => {
    const lines = findings.map(({ digest, problem }) => `${digest}: ${problem}; push it again\n`);
    return `${lines.join("")}${status.blobs} blobs, ${formatBytes(status.bytes)} read, ${status.findings} damaged\n`;
  });
  if (status.findings > 0) return EXIT.mismatch;
  if (!status.endedEarly) return EXIT.ok;
  stderr.write("error: server scrub: it ended early; the server's log says why\n");
  return EXIT.failed;
}

interface Finding {
  readonly digest: string;
  readonly problem: string;
}

/** The newest findings, page by page. */
async function listFindings(server: LocalServer, count: number): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (let before = ""; findings.length < count;) {
    const n = Math.min(count - findings.length, FINDINGS_PAGE);
    const page = (await server.call("GET", `/scrub/findings?n=${n}${before}`)) as {
      readonly findings: readonly Finding[];
      readonly next: string | null;
    };
    findings.push(...page.findings);
    if (page.next === null) break;
    before = `&before=${page.next}`;
  }
  return findings;
}

async function runCheck({ settings, args, print }: ServerCall): Promise<number> {
  const { checkDataFolder } = await import("@stowage/server/maintenance/check");
  const { dataDir, allowSparse } = settings;
  const report = await checkDataFolder(dataDir, { bytes: args.has("bytes"), allowSparse });
  print(report, () => {
    if (report.findings.length > 0) return report.findings.map((finding) => `${finding}\n`).join("");
    return `ok: ${report.manifests} manifests, ${report.blobs} blobs, ${report.objects} objects\n`;
  });
  return report.findings.length === 0 ? EXIT.ok : EXIT.failed;
}

async function runBackup({ settings, place, print, stderr }: ServerCall): Promise<number> {
  const { backup } = await import("@stowage/server/maintenance/backup");
  await using server = await openLocalServer(settings);
  await using _ = await holdObjects(server, stderr);
  const startedAt = performance.now();
  const report = await backup({ dataDir: settings.dataDir, target: place, now: Date.now });
  for (const finding of report.findings) stderr.write(`warning: left out: ${finding}\n`);
  const took = secondsSince(startedAt);
  print(report, () => `${report.blobs} blobs, ${formatBytes(report.bytes)} in ${place}, in ${took}\n`);
  return report.findings.length === 0 ? EXIT.ok : EXIT.mismatch;
}

/** Keeps every object of the registry where it is until it is disposed. */
async function holdObjects(server: LocalServer, stderr: Sink): Promise<AsyncDisposable> {
  const id = `backup-${crypto.randomUUID()}`;
  const hold = () => server.call("POST", "/holds", { id, seconds: HOLD_SECONDS });
  await hold();
  const timer = setInterval(
    () => {
      hold().catch((error: unknown) => stderr.write(`warning: the hold was not renewed: ${String(error)}\n`));
    },
    (HOLD_SECONDS * 1_000) / 3,
  );
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await server.call("DELETE", `/holds/${id}`);
    },
  };
}

async function runRestore({ settings, place, print, stderr }: ServerCall): Promise<number> {
  const { restore } = await import("@stowage/server/maintenance/restore");
  const { checkDataFolder } = await import("@stowage/server/maintenance/check");
  const { dataDir, allowSparse } = settings;
  const startedAt = performance.now();
  const manifest = await restore({ source: place, dataDir });
  const { findings } = await checkDataFolder(dataDir, { bytes: false, allowSparse });
  for (const finding of findings) stderr.write(`warning: ${finding}\n`);
  const { blobs, bytes, createdAt } = manifest;
  const took = secondsSince(startedAt);
  print(manifest, () => `${blobs} blobs, ${formatBytes(bytes)} of ${createdAt} in ${dataDir}, in ${took}\n`);
  return findings.length === 0 ? EXIT.ok : EXIT.failed;
}

function secondsSince(startedAt: number): string {
  return `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`;
}
