import { expect, test } from "bun:test";
import { LoginThrottle } from "@stowage/server/http/login-throttle";
import { type RateLimitRules, RateLimits } from "@stowage/server/http/rate-limits";
import { blobOf, imageOf } from "../support/content.ts";
import { basic, createAccount, setRules } from "../support/sign-in.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const NONE: RateLimitRules = { requestsPerAddress: null, requestsPerAccount: null, pulls: null };
const HOUR_MS = 3_600_000;

function limitsOf(rules: Partial<RateLimitRules>): RateLimits {
  // A request that would have to wait is refused: the hour is longer than anybody waits.
  const wakeAfter = () => () => undefined;
  return new RateLimits({
    rules: { ...NONE, ...rules },
    monotonic: () => performance.now(),
    wakeAfter,
    seed: 1,
  });
}

test("an address that asks too often is 429 with Retry-After, and others are not", async () => {
  await using app = new TestApp({
    limits: limitsOf({ requestsPerAddress: { count: 3, windowMs: HOUR_MS } }),
  });
  const get = (address: string) => app.request("GET", "/v2/", { address });
  for (let at = 0; at < 3; at++) expect((await get("192.0.2.1")).status).toBe(200);
  const refused = await get("192.0.2.1");
  expect([refused.status, await errorCode(refused)]).toEqual([429, "TOOMANYREQUESTS"]);
  expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(0);
  expect((await get("192.0.2.2")).status).toBe(200);
  expect((await app.request("GET", "/livez", { address: "192.0.2.1" })).status).toBe(200);
  expect((await app.request("GET", "/v2/", { isLocal: true, address: "192.0.2.1" })).status).toBe(200);
});

test("the token endpoint counts, too", async () => {
  const limits = limitsOf({ requestsPerAddress: { count: 1, windowMs: HOUR_MS } });
  await using app = new TestApp({ auth: {}, limits });
  expect((await app.request("GET", "/token")).status).toBe(200);
  expect((await app.request("GET", "/token")).status).toBe(429);
});

test("an account is counted wherever it asks from, and another one apart", async () => {
  const limits = limitsOf({ requestsPerAccount: { count: 2, windowMs: HOUR_MS } });
  await using app = new TestApp({ auth: {}, limits });
  for (const name of ["alice", "bob"]) await createAccount(app, name);
  const get = async (name: string, address: string) =>
    (await app.request("GET", "/v2/", { ...basic(name), address })).status;
  expect(await get("alice", "192.0.2.1")).toBe(200);
  expect(await get("alice", "192.0.2.2")).toBe(200);
  expect(await get("alice", "192.0.2.3")).toBe(429);
  expect(await get("bob", "192.0.2.1")).toBe(200);
});

test("pulls are counted and said as Docker Hub does: GET of a manifest counts, HEAD and blobs are free", async () => {
  await using app = new TestApp({
    auth: {},
    limits: limitsOf({ pulls: { count: 2, windowMs: 6 * HOUR_MS } }),
  });
  await createAccount(app, "root", { isAdmin: true });
  await setRules(app, [["anonymous", "**", "reader"]]);
  const image = imageOf([blobOf("layer")]);
  await app.pushImage("t/r", "v1", image, basic("root"));
  const ask = (method: string, path = "manifests/v1") =>
    app.request(method, `/v2/t/r/${path}`, { address: "192.0.2.1" });
  const head = await ask("HEAD");
  expect(head.headers.get("ratelimit-limit")).toBe("2;w=21600");
  expect(head.headers.get("ratelimit-remaining")).toBe("2;w=21600");
  expect(head.headers.get("docker-ratelimit-source")).toBe("192.0.2.1");
  expect((await ask("GET")).headers.get("ratelimit-remaining")).toBe("1;w=21600");
  expect((await ask("GET")).headers.get("ratelimit-remaining")).toBe("0;w=21600");
  const refused = await ask("GET");
  expect(refused.status).toBe(429);
  expect(refused.headers.get("ratelimit-remaining")).toBe("0;w=21600");
  expect((await ask("HEAD")).status).toBe(200);
  expect((await ask("GET", `blobs/${image.config.digest}`)).status).toBe(200);
  expect(
    (await app.request("GET", "/v2/t/r/manifests/v1", { ...basic("root"), address: "192.0.2.1" })).status,
  ).toBe(200);
});

test("who guesses passwords is refused before one is checked, and does not keep the owner out", async () => {
  const wakeAfter = (_ms: number, wake: () => void) => {
    wake();
    return () => undefined;
  };
  const gate = new LoginThrottle({ monotonic: () => performance.now(), wakeAfter, seed: 1 });
  await using app = new TestApp({ auth: { gate } });
  await createAccount(app, "alice");
  const signIn = async (address: string, password?: string) =>
    (await app.request("GET", "/v2/", { ...basic("alice", password), address })).status;
  for (let at = 0; at < 10; at++) expect(await signIn("192.0.2.66", `guess ${at}`)).toBe(401);
  expect(await signIn("192.0.2.66", "guess")).toBe(429);
  expect(await signIn("192.0.2.66")).toBe(429);
  expect(await signIn("192.0.2.1")).toBe(200);
  // Who has just signed in is known, and not held up by others at the same address.
  expect(await signIn("192.0.2.66")).toBe(200);
});
