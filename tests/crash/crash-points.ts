import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryProcess } from "../support/registry-process.ts";
import { AREAS, type Area, areasOfFolder, copyDataFolder, findUnaccounted } from "./data-folder.ts";
import { ScriptedPush, type Step, STEPS } from "./scripted-push.ts";
import { type Call, type Fault, isChanging, Trace, type TraceOptions } from "./strace.ts";
import { type Answer, findBroken, Ledger, send } from "./support.ts";

/** A system call at which something can go wrong. */
export interface Point extends Call {
  readonly step: string;
  readonly area: Area;
}

/** Whether a request may not succeed when this call fails. */
export function isNeeded(point: Point): boolean {
  // SQLite syncs the folder of its log and ignores, on purpose, when that fails.
  if (point.area === "root") return false;
  // A manifest is stored without its platform, which is only shown, when its config cannot be opened.
  if (point.area === "file" && point.step === "PUT of the manifest") return false;
  return isChanging(point);
}

/** A data folder to begin with, and what is promised about it. */
interface Template {
  readonly dataDir: string;
  readonly ledger: Ledger;
}

/** A push up to and including the step with the fault. */
interface Broken extends AsyncDisposable {
  readonly registry: RegistryProcess;
  readonly push: ScriptedPush;
  readonly step: Step;
  readonly answer: Answer | null;
  readonly isHit: boolean;
}

/**
 * Runs the same push again and again, each time on a fresh copy of the same data folder, and each time with one of
 * its system calls going wrong. Every method that takes a point resolves with what it found to be broken.
 */
export class CrashPoints implements AsyncDisposable {
  readonly #folder = realpathSync(mkdtempSync(join(tmpdir(), "stowage-crash-")));
  readonly #pushed: Template = { dataDir: join(this.#folder, "pushed"), ledger: new Ledger() };
  readonly #crashed: Template = { dataDir: join(this.#folder, "crashed"), ledger: new Ledger() };
  #points: readonly Point[] = [];
  #copies = 0;

  static async prepare(): Promise<CrashPoints> {
    await using stack = new AsyncDisposableStack();
    const crash = stack.use(new CrashPoints());
    await using registry = await RegistryProcess.start({ dataDir: crash.#pushed.dataDir });
    await new ScriptedPush(registry, crash.#pushed.ledger).prepare();
    await registry.kill("SIGKILL");
    const points: Point[] = [];
    for (const area of AREAS) points.push(...(await crash.#pointsOf(area)));
    crash.#points = points;
    await crash.#crash();
    stack.move();
    return crash;
  }

  /** Every call of the push on files of the registry. */
  get points(): readonly Point[] {
    return this.#points;
  }

  async killAt(point: Point): Promise<readonly string[]> {
    await using broken = await this.#break(point, "kill");
    const { registry, push } = broken;
    const findings = broken.isHit ? [] : ["this call did not come"];
    await registry.kill("SIGKILL");
    await registry.start();
    findings.push(...(await push.findPartial()), ...(await findBroken(registry, push.ledger)));
    const resumed = await push.resume();
    if (resumed !== null && resumed !== 201) findings.push(`resuming the upload: ${resumed}`);
    return [...findings, ...(await findLater(registry, push.ledger))];
  }

  async failAt(point: Point, fault: "EIO" | "ENOSPC"): Promise<readonly string[]> {
    await using broken = await this.#break(point, fault);
    const { registry, push, step, answer } = broken;
    // Which thread looks a second time is up to chance, and threads are counted one by one.
    const findings = broken.isHit || !isChanging(point) ? [] : ["this call did not come"];
    // A call that only looks may be one that can be done without: what was promised is checked below.
    if (answer !== null && answer.status < 300 && isNeeded(point)) findings.push(`answered ${answer.status}`);
    // A full disk is no reason to end; a database that cannot be read or written is.
    if (fault === "ENOSPC" && answer?.status !== 507) findings.push(`answered ${answer?.status}, not 507`);
    // An upload that was refused may have ended: nobody knows the state of its bytes (D6).
    if (step.session !== null) push.ledger.sessions.delete(push.session(step.session));
    if ((await send(`${registry.url}/livez`)) !== null) {
      findings.push(...(await push.findPartial()), ...(await findBroken(registry, push.ledger)));
    }
    await registry.kill("SIGKILL");
    await registry.start();
    findings.push(...(await push.findPartial()), ...(await findBroken(registry, push.ledger)));
    return [...findings, ...(await findLater(registry, push.ledger))];
  }

  async failSyncAt(point: Point): Promise<readonly string[]> {
    await using broken = await this.#break(point, "EIO");
    const { registry, push, step, answer } = broken;
    const findings = broken.isHit ? [] : ["this call did not come"];
    if (answer !== null && answer.status < 300) findings.push(`answered ${answer.status}`);
    if (point.area === "database") {
      const code = await registry.kill("SIGTERM");
      return code === 1 ? findings : [...findings, `went on without its database (exit code ${code})`];
    }
    // The system forgets that a sync failed: the next one says that all is well, and it is not.
    const again = await step.run(push);
    if (again !== null && again.status < 300) findings.push(`the repeated request: ${again.status}`);
    return findings;
  }

  /** The calls of a start after a crash in the middle of a push. */
  async callsOfStart(): Promise<readonly Point[]> {
    return await this.#callsOf("start", async (dataDir, options) => {
      await using trace = await Trace.prepare(options);
      await using registry = await RegistryProcess.start({ dataDir, wrapper: trace.wrapper });
      await registry.kill("SIGKILL");
      return trace.calls;
    });
  }

  async killStartAt({ area, name, at }: Point): Promise<readonly string[]> {
    await using copy = await this.#copy(this.#crashed);
    const paths = areasOfFolder(copy.dataDir)[area];
    await using trace = await Trace.prepare({ paths, injection: { name, at, fault: "kill" } });
    const starting = RegistryProcess.start({ dataDir: copy.dataDir, wrapper: trace.wrapper });
    // Some calls of a start come when it listens already.
    await using first = await starting.catch(() => null);
    await first?.kill("SIGKILL");
    const findings = trace.isHit ? [] : ["this call did not come"];
    await using registry = await RegistryProcess.start({ dataDir: copy.dataDir });
    return [...findings, ...(await findLater(registry, copy.ledger))];
  }

  /** The calls of an orderly stop. */
  async callsOfStop(): Promise<readonly Point[]> {
    return await this.#callsOf("stop", async (dataDir, options) => {
      await using registry = await RegistryProcess.start({ dataDir });
      await settle(registry);
      await using trace = await Trace.attach(registry.pid, options);
      await registry.kill("SIGTERM");
      await trace.stop();
      return trace.calls;
    });
  }

  async killStopAt({ area, name, at }: Point): Promise<readonly string[]> {
    await using copy = await this.#copy(this.#crashed);
    await using registry = await RegistryProcess.start({ dataDir: copy.dataDir });
    await settle(registry);
    const paths = areasOfFolder(copy.dataDir)[area];
    await using _trace = await Trace.attach(registry.pid, { paths, injection: { name, at, fault: "kill" } });
    const code = await registry.kill("SIGTERM");
    const findings = code === null ? [] : [`this call did not come (exit code ${code})`];
    await registry.start();
    return [...findings, ...(await findLater(registry, copy.ledger))];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #copy({ dataDir, ledger }: Template): Promise<Template & Disposable> {
    const copy = join(this.#folder, `copy-${this.#copies++}`);
    await copyDataFolder(dataDir, copy);
    const remove = () => rmSync(copy, { recursive: true, force: true });
    return { dataDir: copy, ledger: ledger.copy(), [Symbol.dispose]: remove };
  }

  /** A whole push, watched step by step. */
  async #pointsOf(area: Area): Promise<readonly Point[]> {
    using copy = await this.#copy(this.#pushed);
    await using registry = await RegistryProcess.start({ dataDir: copy.dataDir });
    const push = new ScriptedPush(registry, copy.ledger);
    const points: Point[] = [];
    for (const step of STEPS) {
      await using trace = await Trace.attach(registry.pid, { paths: push.paths(step, area) });
      const answer = await step.run(push);
      if (!step.wanted.includes(answer?.status ?? 0)) throw new Error(`${step.name}: ${answer?.status}`);
      await trace.stop();
      points.push(...trace.calls.map((call) => ({ ...call, step: step.name, area })));
    }
    return points;
  }

  async #callsOf(
    step: string,
    watch: (dataDir: string, options: TraceOptions) => Promise<readonly Call[]>,
  ): Promise<readonly Point[]> {
    const points: Point[] = [];
    for (const area of AREAS) {
      using copy = await this.#copy(this.#crashed);
      const calls = await watch(copy.dataDir, { paths: areasOfFolder(copy.dataDir)[area] });
      points.push(...calls.map((call) => ({ ...call, step, area })));
    }
    return points;
  }

  async #break(point: Point, fault: Fault): Promise<Broken> {
    await using stack = new AsyncDisposableStack();
    const copy = stack.use(await this.#copy(this.#pushed));
    const registry = stack.use(await RegistryProcess.start({ dataDir: copy.dataDir }));
    const push = new ScriptedPush(registry, copy.ledger);
    for (const step of STEPS) {
      if (step.name !== point.step) {
        await step.run(push);
        continue;
      }
      const options = { paths: push.paths(step, point.area), injection: { ...point, fault } };
      await using trace = await Trace.attach(registry.pid, options);
      const answer = await step.run(push);
      await trace.stop();
      const isHit = fault === "kill" ? answer === null : trace.isHit;
      const running = stack.move();
      const dispose = () => running.disposeAsync();
      return { registry, push, step, answer, isHit, [Symbol.asyncDispose]: dispose };
    }
    throw new Error(`no step "${point.step}"`);
  }

  /** A data folder in the middle of something: bytes under their final name that the database does not know. */
  async #crash(): Promise<void> {
    const point = this.#points.find(({ step, area, name }) => {
      return step === "PUT of a whole blob" && area === "folder" && name === "fsync";
    });
    if (point === undefined) throw new Error("a push does not sync the folder of its blobs");
    await using broken = await this.#break(point, "kill");
    await broken.registry.kill("SIGKILL");
    await copyDataFolder(broken.registry.dataDir, this.#crashed.dataDir);
    this.#crashed.ledger.take(broken.push.ledger);
  }
}

/** What is broken now, or with the same push again, or left over after it. Ends the registry. */
async function findLater(registry: RegistryProcess, ledger: Ledger): Promise<readonly string[]> {
  const findings = [...(await findBroken(registry, ledger))];
  const push = new ScriptedPush(registry, ledger);
  for (const step of STEPS) {
    const status = (await step.run(push))?.status ?? 0;
    if (!step.wanted.includes(status)) findings.push(`the next push, ${step.name}: ${status}`);
  }
  findings.push(...(await push.findPartial()), ...(await findBroken(registry, ledger)));
  await registry.kill("SIGKILL");
  return [...findings, ...findUnaccounted(registry.dataDir)];
}

/** Resolves when the collector's first run is over, so that its calls are not taken for those of the stop. */
async function settle(registry: RegistryProcess): Promise<void> {
  const headers = { "Content-Type": "application/json" };
  await send(`${registry.url}/api/v1/gc`, { method: "POST", headers, body: "{}" });
}
