import { readSettings, type Settings } from "@stowage/server/config/settings";
import { formatBytes } from "@stowage/server/maintenance/data-folder";
import { EXIT } from "../exit-codes.ts";
import { type LocalServer, openLocalServer } from "../local-server.ts";

/** A hold is asked for this long, and again after a third of it, in seconds. */
const HOLD_SECONDS = 600;

/** Time between two looks at a scrub that is running, in milliseconds. */
const SCRUB_LOOK_MS = 500;

/** Looks of which one is printed where no terminal is: a line in ten seconds. */
const SCRUB_LOOKS_PER_LINE = 20;

/** Findings that are asked for at once. */
const FINDINGS_PAGE = 500;

const HELP = `Looks after the data folder of a registry, while its server runs or when none does.

Usage: stowage server <command> [options]

Commands:
  gc                    free what nobody needs, now
      --dry-run         say what there is to free
      --purge           give up the right to undo deletions first
      --resume          the clock is right again after a jump
  scrub                 read blobs again and compare them with their digests
      --all             every blob, not only those whose time has come
  check                 walk every invariant and print what is wrong
      --bytes           read the bytes of every blob, too
  backup DIR|FILE.tar|- copy the registry while it runs; a DIR is brought up to date
  restore DIR|FILE.tar|- make a new data folder of a backup

Options:
  --data-dir DIR        the registry's folder (default stowage-data, or STOWAGE_DATA_DIR)
  --format text|json    what is printed (default text)

Other options of \`stowage serve\` count where no server runs (for example --gc-grace).

Examples:
  stowage server gc --dry-run
  stowage server check --bytes --data-dir /var/lib/registry
  stowage server backup /backups/registry
  stowage server restore /backups/registry --data-dir /var/lib/registry
`;

/** Switches of each command, and whether it takes a place to write to or read from. */
const COMMANDS = {
  gc: { switches: ["dry-run", "purge", "resume"], hasPlace: false, run: runGc },
  scrub: { switches: ["all"], hasPlace: false, run: runScrub },
  check: { switches: ["bytes"], hasPlace: false, run: runCheck },
  backup: { switches: [], hasPlace: true, run: runBackup },
  restore: { switches: [], hasPlace: true, run: runRestore },
} as const;

interface Call {
  readonly settings: Settings;
  readonly switches: ReadonlySet<string>;
  /** Where a backup goes or comes from; empty for the other commands. */
  readonly place: string;
  /** Prints the result: JSON as it is, or what `text` makes of it. */
  print(result: unknown, text: () => string): void;
}

/** `stowage server ...` */
export async function runServer(args: readonly string[]): Promise<number> {
  const [name = "", ...rest] = args;
  if (name === "" || args.includes("--help") || args.includes("-h")) {
    process.stdout.write(HELP);
    return name === "" ? EXIT.usage : EXIT.ok;
  }
  const command = Object.entries(COMMANDS).find(([candidate]) => candidate === name)?.[1];
  if (command === undefined) {
    return usage(`unknown command "server ${name}"`);
  }
  const switches = new Set<string>(command.switches.filter((flag) => rest.includes(`--${flag}`)));
  const others = rest.filter((arg) => !command.switches.some((flag) => arg === `--${flag}`));
  const format = takeFormat(others);
  if (format === null) return usage("--format is not text or json");
  const place = command.hasPlace ? takePlace(others) : "";
  if (place === null) return usage(`\`stowage server ${name}\` needs a place: DIR, FILE.tar or -`);
  const result = readSettings({ args: others, env: process.env });
  if (!result.ok) return usage(...result.problems);
  // With the backup itself on standard output, nothing else may be there.
  const out = name === "backup" && place === "-" ? process.stderr : process.stdout;
  try {
    return await command.run({
      settings: result.settings,
      switches,
      place,
      print: (value, text) => out.write(format === "json" ? `${JSON.stringify(value)}\n` : text()),
    });
  } catch (error) {
    process.stderr.write(
      `error: server ${name}: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    return EXIT.failed;
  }
}

function usage(...problems: readonly string[]): number {
  for (const problem of problems) process.stderr.write(`error: ${problem}\n`);
  process.stderr.write("hint: run `stowage server --help`\n");
  return EXIT.usage;
}

/** Takes `--format` out of the arguments; null when its value is wrong. */
function takeFormat(args: string[]): "text" | "json" | null {
  const at = args.findIndex((arg) => arg === "--format" || arg.startsWith("--format="));
  if (at === -1) return "text";
  const [flag = ""] = args.splice(at, 1);
  const value = flag === "--format" ? args.splice(at, 1)[0] : flag.slice("--format=".length);
  return value === "text" || value === "json" ? value : null;
}

/** Takes the first argument that is no option out of the arguments. */
function takePlace(args: string[]): string | null {
  const at = args.findIndex((arg, index) => (arg === "-" || !arg.startsWith("-")) && !isValue(args, index));
  return at === -1 ? null : (args.splice(at, 1)[0] ?? null);
}

/** Whether the argument is the value of the option before it: of every option that has no `=`, apart from switches. */
function isValue(args: readonly string[], index: number): boolean {
  const before = args[index - 1] ?? "";
  return (
    before.startsWith("--") && !before.includes("=") && !["--read-only", "--allow-sparse"].includes(before)
  );
}

interface Report {
  readonly [figure: string]: number;
}

async function runGc({ settings, switches, print }: Call): Promise<number> {
  await using server = await openLocalServer(settings);
  if (switches.has("dry-run")) {
    const preview = (await server.call("GET", "/gc")) as Readonly<Record<string, Report>>;
    print(preview, () => describePreview(preview));
    return EXIT.ok;
  }
  const options = { purge: switches.has("purge"), resume: switches.has("resume") };
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

async function runScrub({ settings, switches, print }: Call): Promise<number> {
  await using server = await openLocalServer(settings);
  let status = (await server.call("POST", "/scrub", { all: switches.has("all") })) as ScrubAnswer;
  const { isTTY } = process.stderr;
  for (let look = 1; status.running; look++) {
    await Bun.sleep(SCRUB_LOOK_MS);
    status = (await server.call("GET", "/scrub")) as ScrubAnswer;
    const progress = `${status.blobs} blobs, ${formatBytes(status.bytes)} read, ${status.findings} damaged`;
    if (isTTY) process.stderr.write(`\r${progress}`);
    else if (look % SCRUB_LOOKS_PER_LINE === 0) process.stderr.write(`${progress}\n`);
  }
  if (isTTY) process.stderr.write("\n");
  const findings = await listFindings(server, status.findings);
  print({ ...status, findings }, () => {
    const lines = findings.map(({ digest, problem }) => `${digest}: ${problem}; push it again\n`);
    return `${lines.join("")}${status.blobs} blobs, ${formatBytes(status.bytes)} read, ${status.findings} damaged\n`;
  });
  if (status.findings > 0) return EXIT.mismatch;
  if (!status.endedEarly) return EXIT.ok;
  process.stderr.write("error: server scrub: it ended early; the server's log says why\n");
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

async function runCheck({ settings, switches, print }: Call): Promise<number> {
  const { checkDataFolder } = await import("@stowage/server/maintenance/check");
  const { dataDir, allowSparse } = settings;
  const report = await checkDataFolder(dataDir, { bytes: switches.has("bytes"), allowSparse });
  print(report, () => {
    if (report.findings.length > 0) return report.findings.map((finding) => `${finding}\n`).join("");
    return `ok: ${report.manifests} manifests, ${report.blobs} blobs, ${report.objects} objects\n`;
  });
  return report.findings.length === 0 ? EXIT.ok : EXIT.failed;
}

async function runBackup({ settings, place, print }: Call): Promise<number> {
  const { backup } = await import("@stowage/server/maintenance/backup");
  await using server = await openLocalServer(settings);
  await using _ = await holdObjects(server);
  const startedAt = performance.now();
  const report = await backup({ dataDir: settings.dataDir, target: place, now: Date.now });
  for (const finding of report.findings) process.stderr.write(`warning: left out: ${finding}\n`);
  const took = secondsSince(startedAt);
  print(report, () => `${report.blobs} blobs, ${formatBytes(report.bytes)} in ${place}, in ${took}\n`);
  return report.findings.length === 0 ? EXIT.ok : EXIT.mismatch;
}

/** Keeps every object of the registry where it is until it is disposed. */
async function holdObjects(server: LocalServer): Promise<AsyncDisposable> {
  const id = `backup-${crypto.randomUUID()}`;
  const hold = () => server.call("POST", "/holds", { id, seconds: HOLD_SECONDS });
  await hold();
  const timer = setInterval(
    () => {
      hold().catch((error: unknown) =>
        process.stderr.write(`warning: the hold was not renewed: ${String(error)}\n`),
      );
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

async function runRestore({ settings, place, print }: Call): Promise<number> {
  const { restore } = await import("@stowage/server/maintenance/restore");
  const { checkDataFolder } = await import("@stowage/server/maintenance/check");
  const { dataDir, allowSparse } = settings;
  const startedAt = performance.now();
  const manifest = await restore({ source: place, dataDir });
  const { findings } = await checkDataFolder(dataDir, { bytes: false, allowSparse });
  for (const finding of findings) process.stderr.write(`warning: ${finding}\n`);
  const { blobs, bytes, createdAt } = manifest;
  const took = secondsSince(startedAt);
  print(manifest, () => `${blobs} blobs, ${formatBytes(bytes)} of ${createdAt} in ${dataDir}, in ${took}\n`);
  return findings.length === 0 ? EXIT.ok : EXIT.failed;
}

function secondsSince(startedAt: number): string {
  return `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`;
}
