import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryProcess } from "../support/registry-process.ts";
import { program, suite } from "../support/suite.ts";
import { PASSWORD, startWithAccounts } from "./auth-registry.ts";

/** The official suites of the OCI Distribution Specification, built by `npm test` from pinned sources. */
const current = program("conformance");

interface Outcome {
  readonly exitCode: number;
  readonly output: string;
  readonly report: string;
}

/** Runs a suite in a folder of its own, where it leaves its report. */
async function runSuite(binary: string, environment: Readonly<Record<string, string>>): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), "stowage-conformance-"));
  try {
    const child = Bun.spawn([binary], {
      cwd: folder,
      env: { ...process.env, OCI_RESULTS_DIR: folder, ...environment },
      stdout: "pipe",
      stderr: "pipe",
    });
    const output = (
      await Promise.all([child.stdout, child.stderr].map((stream) => new Response(stream).text()))
    ).join("");
    return { exitCode: await child.exited, output, report: await Bun.file(join(folder, "junit.xml")).text() };
  } finally {
    await rm(folder, { recursive: true });
  }
}

const attribute = (report: string, name: string) =>
  Number(new RegExp(`<testsuite [^>]*\\b${name}="(\\d+)"`).exec(report)?.[1] ?? 0);

suite("OCI conformance, suite of 2023", [program("conformance-2023")], () => {
  test("every test passes but those that ask for a registry without deletion or automatic mounts", async () => {
    await using registry = await RegistryProcess.start();
    const outcome = await runSuite(program("conformance-2023").path, {
      ...ALL_OF_2023,
      OCI_ROOT_URL: registry.url,
    });
    expectAllOf2023("", outcome);
  });

  test.each([
    ["a password that is changed into tokens", {}],
    // Whatever a challenge says, the suite then asks for this.
    [
      "one token for both repositories",
      { OCI_AUTH_SCOPE: "repository:conformance/one:pull,push,delete repository:conformance/two:pull,push" },
    ],
  ])("the same passes with authentication, with %s", async (how, environment) => {
    await using registry = await startWithAccounts();
    const outcome = await runSuite(program("conformance-2023").path, {
      ...ALL_OF_2023,
      ...environment,
      OCI_ROOT_URL: registry.url,
      OCI_USERNAME: "mary",
      OCI_PASSWORD: PASSWORD,
    });
    expectAllOf2023(`, ${how}`, outcome);
  });
});

/** Every test of the suite of 2023, but those that ask for a registry of another kind. */
const ALL_OF_2023 = {
  OCI_NAMESPACE: "conformance/one",
  OCI_CROSSMOUNT_NAMESPACE: "conformance/two",
  OCI_TEST_PULL: "1",
  OCI_TEST_PUSH: "1",
  OCI_TEST_CONTENT_DISCOVERY: "1",
  OCI_TEST_CONTENT_MANAGEMENT: "1",
  OCI_AUTOMATIC_CROSSMOUNT: "1",
};

function expectAllOf2023(how: string, { exitCode, output, report }: Outcome): void {
  const counts = /\d+ Passed.*/.exec(Bun.stripANSI(output))?.[0] ?? output;
  process.stderr.write(`>>> conformance 2023${how}: ${counts}\n`);
  expect([exitCode, attribute(report, "failures")]).toEqual([0, 0]);
  // Two tests are for set-ups without push, two for registries without automatic mounts.
  expect(attribute(report, "skipped")).toBe(4);
  expect(attribute(report, "tests")).toBeGreaterThan(75);
}

suite("OCI conformance, suite of 2026", [current], () => {
  test.each([
    ["allowed", "true", ["--allow-sparse"]],
    ["refused", "false", []],
  ])(
    "with every option on all pass and none is skipped, with sparse manifests %s",
    async (_, sparse, args) => {
      await using registry = await RegistryProcess.start({ args });
      const { exitCode, output, report } = await runSuite(current.path, {
        OCI_REGISTRY: registry.host,
        OCI_TLS: "disabled",
        OCI_VERSION: "dev",
        OCI_DATA_SPARSE: sparse,
      });
      const count = (name: string) =>
        Number(new RegExp(`^\\s*${name}\\.+:\\s*(\\d+)$`, "m").exec(output)?.[1] ?? -1);
      process.stderr.write(
        `>>> conformance, sparse ${sparse}: ${count("Pass")} passed of ${count("Total")}\n`,
      );
      const bad = [exitCode, attribute(report, "failures"), count("FAIL"), count("Error"), count("Skip")];
      expect(bad).toEqual([0, 0, 0, 0, 0]);
      expect(count("Pass")).toBe(count("Total"));
      expect(count("Total")).toBeGreaterThan(900);
    },
  );
});
