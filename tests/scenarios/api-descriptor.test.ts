import { expect, test } from "bun:test";
import { API_REQUESTS, API_ROUTES } from "@stowage/oci/api/routes";
import { V2_ROUTES } from "@stowage/server/http/v2/routes";
import { differences } from "../support/api-answer.ts";
import { walkExamples } from "../support/api-walk.ts";
import { TestApp } from "../support/test-app.ts";

test("the descriptor and the route table have the same endpoints", () => {
  const keyOf = ({ id, method, path }: { id: string; method: string; path: string }) =>
    `${id} ${method} ${path}`;
  const described = API_ROUTES.filter(({ path }) => path.startsWith("/v2")).map(keyOf);
  const routed = V2_ROUTES.map(({ id, method, template }) => keyOf({ id, method, path: template }));
  expect(described.toSorted()).toEqual(routed.toSorted());
});

test("the descriptor's other endpoints are there, with the methods that it says", async () => {
  await using app = new TestApp({ auth: {} });
  for (const { method, path } of API_ROUTES.filter(({ path }) => !path.startsWith("/v2"))) {
    const { status } = await app.request(method, path);
    expect([method, path, status === 404 || status === 405]).toEqual([method, path, false]);
  }
});

test("every example is answered as the descriptor says: status, headers and body", async () => {
  const walked = await walkExamples();
  const problems = walked.flatMap(({ step, response, body }) =>
    differences(step, { status: response.status, headers: response.headers, body }),
  );
  expect(problems).toEqual([]);
  expect(walked.length).toBeGreaterThan(API_REQUESTS.length);
});
