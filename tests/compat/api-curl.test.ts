import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { curlOf, curlPreamble, curlScript } from "@stowage/oci/api/curl";
import { exampleSteps } from "@stowage/oci/api/example-steps";
import { EXAMPLE_VARIABLES } from "@stowage/oci/api/examples";
import { type Answer, differences } from "../support/api-answer.ts";
import { program, suite } from "../support/suite.ts";
import { managementCurls, stepsBefore } from "../docs/management-reference.ts";
import { manage, PASSWORD, startWithAccounts } from "./auth-registry.ts";

const curl = program("curl");

/** Runs a script of the shell in the folder; what the examples call alice is mary here, who maintains everything. */
async function shell(script: string, cwd: string, url: string): Promise<{ code: number; stdout: string }> {
  const child = Bun.spawn(["sh", "-s"], {
    cwd,
    stdin: new TextEncoder().encode(script),
    stdout: "pipe",
    stderr: "ignore",
    env: { PATH: process.env.PATH ?? "", REGISTRY: url, USERNAME: "mary", PASSWORD },
  });
  return { stdout: await child.stdout.text(), code: await child.exited };
}

/** Answers as `curl -i` prints them; those that only say that the body may come are passed over. */
function parseAnswer(printed: string): Answer {
  const text = printed.replace(/^HTTP\/1\.1 100 [^\r]*\r\n\r\n/, "");
  const end = text.indexOf("\r\n\r\n");
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return { status: Number(first.split(" ")[1]), headers, body: text.slice(end + 4) };
}

suite("documented curl calls", [curl], () => {
  test("each is answered as the descriptor says: status, headers and body", async () => {
    await using registry = await startWithAccounts();
    const cwd = await mkdtemp(join(tmpdir(), "stowage-curl-"));
    try {
      const steps = exampleSteps();
      const mark = "\n=== next ===\n";
      const calls = steps.map((step) => `${curlOf(step)}\nprintf '${mark.replaceAll("\n", "\\n")}'`);
      const { stdout } = await shell(`${curlPreamble()}\n${calls.join("\n")}`, cwd, registry.url);
      const answers = stdout.split(mark).slice(0, -1).map(parseAnswer);
      expect(answers.length).toBe(steps.length);
      const problems = steps.flatMap((step, at) => {
        const answer = answers[at];
        return answer === undefined ? [`${step.request.id} was not answered`] : differences(step, answer);
      });
      expect(problems).toEqual([]);
    } finally {
      await rm(cwd, { recursive: true, force: true });
    }
  });

  test("each call of the management API is answered with success", async () => {
    await using registry = await startWithAccounts();
    await manage(registry, "PUT", "/users/mary", { isAdmin: true });
    const cwd = await mkdtemp(join(tmpdir(), "stowage-curl-"));
    try {
      const before = stepsBefore().map(curlOf);
      const mark = "\n=== next ===\n";
      const calls = (await managementCurls()).map(
        (call) => `printf '${mark.replaceAll("\n", "\\n")}'\n${call}`,
      );
      const script = [curlPreamble(), ...before, ...calls].join("\n");
      const { stdout } = await shell(script, cwd, registry.url);
      const answers = stdout.split(mark).slice(1).map(parseAnswer);
      expect(answers.length).toBe(calls.length);
      const refused = answers.flatMap(({ status, body }, at) =>
        status >= 200 && status < 300 ? [] : [`${calls[at]} was answered ${status}: ${body}`],
      );
      expect(refused).toEqual([]);
    } finally {
      await rm(cwd, { recursive: true, force: true });
    }
  });

  test("the script runs as a whole, and leaves the image that it pushed", async () => {
    await using registry = await startWithAccounts();
    const cwd = await mkdtemp(join(tmpdir(), "stowage-curl-"));
    try {
      const { code, stdout } = await shell(curlScript(), cwd, registry.url);
      expect(code).toBe(0);
      expect(stdout).not.toMatch(/HTTP\/1\.1 [45]/);
      const headers = { Authorization: `Basic ${Buffer.from(`mary:${PASSWORD}`).toString("base64")}` };
      const { NAME, MANIFEST, TAG } = EXAMPLE_VARIABLES;
      const pulled = await fetch(`${registry.url}/v2/${NAME}/manifests/${TAG}`, { headers });
      expect(pulled.headers.get("Docker-Content-Digest")).toBe(MANIFEST ?? "");
    } finally {
      await rm(cwd, { recursive: true, force: true });
    }
  });
});
