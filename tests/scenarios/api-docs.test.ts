import { expect, test } from "bun:test";
import { apiMarkdown } from "@stowage/oci/api/markdown";
import { DIAGRAMS, type DiagramStep, mermaid } from "@stowage/oci/api/diagrams";
import { RECORDED_ANSWERS } from "@stowage/oci/api/recorded-answers";
import { API_REQUESTS, API_ROUTES } from "@stowage/oci/api/routes";
import { createMatcher } from "@stowage/server/http/v2/match";
import { V2_ROUTES } from "@stowage/server/http/v2/routes";
import { apiReferenceFiles, inWorkspace } from "../docs/api-reference.ts";
import { MANAGEMENT_EXAMPLES } from "../docs/management-examples.ts";
import { managementOperations } from "../docs/management-reference.ts";

test("docs/api.md, docs/api-management.md and the recorded answers are up to date (npm run docs:api writes them)", async () => {
  for (const [path, text] of Object.entries(await apiReferenceFiles())) {
    const isCurrent = (await Bun.file(inWorkspace(path)).text()) === text;
    expect([path, isCurrent ? "is current" : "is stale: run npm run docs:api"]).toEqual([path, "is current"]);
  }
});

test("every request that has an example has a recorded answer, with the example's status", () => {
  for (const { request } of API_REQUESTS) {
    expect([request.id, RECORDED_ANSWERS[request.id]?.status]).toEqual([request.id, request.example?.status]);
  }
});

test("every endpoint has a call and an answer in the reference", () => {
  const text = apiMarkdown(RECORDED_ANSWERS);
  for (const { method, path } of API_ROUTES) {
    const [section = ""] = text.split(`\n### ${method} \`${path}\`\n`)[1]?.split("\n### ") ?? [];
    expect([method, path, section.includes("```sh\ncurl "), section.includes("```http\nHTTP/1.1 ")]).toEqual([
      method,
      path,
      true,
      true,
    ]);
  }
});

const matcher = createMatcher(V2_ROUTES);

function flat(steps: readonly DiagramStep[]): readonly DiagramStep[] {
  return steps.flatMap((step) => ("steps" in step ? flat(step.steps) : [step]));
}

test("every request of a diagram is one that the registry has, and is answered from where it went", () => {
  for (const { id, steps } of DIAGRAMS) {
    let to: string | null = null;
    for (const step of flat(steps)) {
      if (step.kind === "answer") expect([id, step.from]).toEqual([id, to ?? "nobody"]);
      if (step.kind !== "request") continue;
      to = step.to;
      const [path = ""] = step.path.split("?");
      const isKnown = path.startsWith("/v2")
        ? matcher.match(path)?.methods.has(step.method)
        : API_ROUTES.some((route) => route.method === step.method && route.path === path);
      expect([id, step.method, step.path, isKnown]).toEqual([id, step.method, step.path, true]);
    }
  }
});

test("every status in a diagram is one that the request before it can have", () => {
  for (const { id, steps } of DIAGRAMS) {
    let statuses: readonly number[] = [];
    for (const step of flat(steps)) {
      if (step.kind === "request") statuses = statusesOf(step.method, step.path);
      if (step.kind === "answer")
        expect([id, step.status, statuses.includes(step.status)]).toEqual([id, step.status, true]);
    }
  }
});

function statusesOf(method: string, target: string): readonly number[] {
  const [path = ""] = target.split("?");
  const template = matcher.match(path)?.template ?? path;
  const routes = API_ROUTES.filter((route) => route.method === method && route.path === template);
  return routes.flatMap(({ requests }) =>
    requests.flatMap(({ successes, failures }) => [...successes, ...failures].map(({ status }) => status)),
  );
}

test("diagrams are pull, push, mount, chunked upload and token login, in lines that Mermaid reads", () => {
  expect(DIAGRAMS.map(({ id }) => id)).toEqual(["pull", "push", "mount", "chunked-upload", "token-login"]);
  const line =
    /^ {2,}(?:participant \w+ as [\w ]+|\w+-?->>\w+: [^;#]+|Note over \w+: [^;#]+|(?:opt|loop) [^;#]+|end)$/;
  for (const diagram of DIAGRAMS) {
    const [head, ...lines] = mermaid(diagram).split("\n");
    expect(head).toBe("sequenceDiagram");
    expect(lines.filter((text) => !line.test(text))).toEqual([]);
    const opened = lines.filter((text) => /^ *(?:opt|loop) /.test(text)).length;
    expect(lines.filter((text) => /^ *end$/.test(text)).length).toBe(opened);
  }
});

test("every operation of the management API has one example, and no example another one", async () => {
  const operations = (await managementOperations()).map(({ id }) => id);
  expect(MANAGEMENT_EXAMPLES.map(({ operation }) => operation).toSorted()).toEqual(operations.toSorted());
});
