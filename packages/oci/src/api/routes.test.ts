import { expect, test } from "bun:test";
import { parseDigest } from "../digest.ts";
import { ERROR_CODES, type ErrorCode } from "../errors.ts";
import { capture, exampleSteps, fillIn, targetOf } from "./example-steps.ts";
import { EXAMPLE_DIGESTS, EXAMPLE_FILES, EXAMPLE_VARIABLES } from "./examples.ts";
import { ERROR_DESCRIPTIONS } from "./error-descriptions.ts";
import { DIGEST_PATTERN } from "./fields.ts";
import { API_ENTITIES } from "./model.ts";
import { API_REQUESTS, API_ROUTES, endpointsOf, routesByPath } from "./routes.ts";
import { API_SCHEMAS } from "./schemas.ts";

test("every error code is documented at an endpoint, or belongs to the management API alone", () => {
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
    const isOfManagement = ERROR_DESCRIPTIONS[code].answeredBy === "management";
    expect([code, endpointsOf(code).length > 0]).toEqual([code, !isOfManagement]);
  }
});

test("every failure has the status of its codes", () => {
  for (const { request } of API_REQUESTS) {
    for (const { status, errors } of request.failures) {
      const different = errors.filter((code) => (ERROR_CODES[code].status as number) !== status);
      expect([request.id, different]).toEqual([request.id, []]);
    }
  }
});

test("requests have unique names, every entity has a route, and every route a request", () => {
  const ids = API_REQUESTS.map(({ request }) => request.id);
  expect(new Set(ids).size).toBe(ids.length);
  const entities: readonly string[] = [...new Set(API_ROUTES.map(({ entity }) => entity))];
  expect(entities.toSorted()).toEqual(Object.keys(API_ENTITIES).toSorted());
  for (const { requests } of API_ROUTES) expect(requests.length).toBeGreaterThan(0);
  expect([...routesByPath().values()].flat().length).toBe(API_ROUTES.length);
});

test("a path names exactly the parameters that its requests describe", () => {
  for (const { route, request } of API_REQUESTS) {
    const named = [...route.path.matchAll(/<([a-z]+)>/g)].map((match) => match[1] ?? "");
    const described = request.parameters
      .filter((parameter) => parameter.in === "path")
      .map(({ name }) => name);
    expect([request.id, described]).toEqual([request.id, named]);
  }
});

test("parameters and headers fit their own patterns, and what is required is in the example", () => {
  for (const { request } of API_REQUESTS) {
    const headers = [...request.successes, ...request.failures].flatMap((answer) => answer.headers);
    for (const { name, pattern, example } of [...request.parameters, ...headers]) {
      if (pattern !== null) expect([name, new RegExp(pattern).test(example)]).toEqual([name, true]);
    }
    const { example } = request;
    if (example === null) continue;
    const given = [...example.query, ...example.headers].map(([name]) => name);
    const required = request.parameters.filter((parameter) => parameter.required && parameter.in !== "path");
    for (const { name } of required) expect([request.id, given.includes(name)]).toEqual([request.id, true]);
  }
});

test("an example's status is one of its successes", () => {
  for (const { request } of API_REQUESTS) {
    if (request.example === null) continue;
    expect(request.successes.map(({ status }) => status)).toContain(request.example.status);
  }
});

test("digests of the examples are those of their files, and every variable has a value", () => {
  for (const [variable, file] of Object.entries(EXAMPLE_DIGESTS)) {
    const content = EXAMPLE_FILES[file] ?? "";
    const digest = `sha256:${new Bun.CryptoHasher("sha256").update(content).digest("hex")}`;
    expect([variable, EXAMPLE_VARIABLES[variable]]).toEqual([variable, digest]);
  }
  expect(EXAMPLE_FILES["layer-1"] + (EXAMPLE_FILES["layer-2"] ?? "")).toBe(EXAMPLE_FILES.layer ?? "");
  for (const step of exampleSteps()) {
    const left = fillIn(targetOf(step), { ...EXAMPLE_VARIABLES, UPLOAD: "0", REFRESH_TOKEN: "0" });
    expect(left).not.toContain("$");
  }
});

test("capture reads the session's id and the refresh token", () => {
  const step = (id: string) => {
    const found = exampleSteps().find(({ request }) => request.id === id);
    if (found === undefined) throw new Error(id);
    return found;
  };
  const answer = {
    location: "/v2/a/b/blobs/uploads/0123?state=1",
    body: '{"refresh_token":"rt","scope":""}',
  };
  expect(capture(step("start-upload"), answer)).toBe("0123");
  expect(capture(step("post-token"), answer)).toBe("rt");
  expect(capture(step("get-blob"), answer)).toBeNull();
});

test("schemas are there for every body that names one", () => {
  const bodies = API_REQUESTS.flatMap(({ request }) => [
    ...request.bodies,
    ...[...request.successes, ...request.failures].flatMap((answer) => answer.bodies),
  ]);
  for (const { schema } of bodies) if (schema !== null) expect(Object.keys(API_SCHEMAS)).toContain(schema);
});

test("the pattern of digests and their parser agree", () => {
  const hex = "0123456789abcdef".repeat(4);
  const texts = [
    `sha256:${hex}`,
    `sha512:${hex}${hex}`,
    `sha256:${hex}0`,
    `sha512:${hex}`,
    hex,
    `md5:${hex}`,
    `sha256:${hex.toUpperCase()}`,
  ];
  for (const text of texts) {
    expect([text, new RegExp(DIGEST_PATTERN).test(text)]).toEqual([text, parseDigest(text) !== null]);
  }
});
