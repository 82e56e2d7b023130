import { afterAll, beforeAll, expect, test } from "bun:test";
import { suite } from "../support/suite.ts";
import { CrashPoints, isNeeded, type Point } from "./crash-points.ts";
import { Random, SEED } from "./load.ts";
import { type Fault, isChanging, isSync, tracing } from "./strace.ts";
import { LONG, say } from "./support.ts";

/** Points of each loop in the short mode. */
const POINTS_MAX = 14;

const SECONDS_PER_POINT = 20;
const TIMEOUT_MS = 1000 * SECONDS_PER_POINT * (LONG ? 1000 : 3 * POINTS_MAX);

suite("every system call of a push", [tracing()], () => {
  let crash: CrashPoints;

  beforeAll(async () => {
    crash = await CrashPoints.prepare();
    say(`seed ${SEED}; ${crash.points.length} system calls on the data folder in one push`);
  }, TIMEOUT_MS);
  afterAll(() => crash[Symbol.asyncDispose]());

  test(
    "killed before any call: what was acknowledged is there, uploads go on, a new push works (D1-D4, I3)",
    () => run("kill", sample(crash.points.filter(isChanging)), (point) => crash.killAt(point)),
    TIMEOUT_MS,
  );

  test(
    "an I/O error of any call is refused and shows nothing partial (D5)",
    () => run("EIO", sample(crash.points), (point) => crash.failAt(point, "EIO")),
    TIMEOUT_MS,
  );

  test(
    "a disk that is full at any call is refused and shows nothing partial (D5, A1)",
    () => run("ENOSPC", sample(crash.points.filter(takesSpace)), (point) => crash.failAt(point, "ENOSPC")),
    TIMEOUT_MS,
  );

  test(
    "a failed sync is never acknowledged, not even when the request is repeated (D6)",
    () => run("EIO", crash.points.filter(isOurSync), (point) => crash.failSyncAt(point)),
    TIMEOUT_MS,
  );

  test(
    "killed at any call of its recovery, the next start works (D7)",
    async () => {
      const calls = await crash.callsOfStart();
      await run("kill", sample(calls.filter(isChanging)), (call) => crash.killStartAt(call));
    },
    TIMEOUT_MS,
  );

  test(
    "killed at any call of an orderly stop, the next start works (D7)",
    async () => {
      const calls = await crash.callsOfStop();
      await run("kill", sample(calls.filter(isChanging)), (call) => crash.killStopAt(call));
    },
    TIMEOUT_MS,
  );
});

/** Runs every point and names those that broke something, so that one run shows all of them. */
async function run(
  fault: Fault,
  points: readonly Point[],
  check: (point: Point) => Promise<readonly string[]>,
): Promise<void> {
  const broken: string[] = [];
  for (const point of points) {
    const findings = await check(point).catch((error: unknown) => [String(error)]);
    for (const finding of findings) {
      broken.push(`${fault} at ${point.step}, ${point.area}, ${point.name} ${point.at}: ${finding}`);
    }
  }
  say(`${points.length} points, ${broken.length} findings`);
  expect(points.length).toBeGreaterThan(0);
  expect(broken).toEqual([]);
}

/** All of them, or some that are spread evenly, others each time. */
function sample(points: readonly Point[]): readonly Point[] {
  if (LONG || points.length <= POINTS_MAX) return points;
  const stride = points.length / POINTS_MAX;
  const first = new Random(SEED).between(0, Math.floor(stride));
  return points.filter(
    (_, at) => Math.floor((at + first) / stride) !== Math.floor((at + first - 1) / stride),
  );
}

function isOurSync(point: Point): boolean {
  return isSync(point) && isNeeded(point);
}

function takesSpace(point: Point): boolean {
  return isNeeded(point) && !isSync(point) && !point.name.startsWith("unlink") && point.area !== "folder";
}
