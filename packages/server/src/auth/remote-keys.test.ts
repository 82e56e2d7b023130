import { beforeAll, expect, test } from "bun:test";
import { Signer } from "../../../../tests/support/signed-tokens.ts";
import type { Fetched } from "./outbound.ts";
import { type KeysPlace, RemoteKeys } from "./remote-keys.ts";

const ISSUER = "https://issuer.test/realms/ci";
const URL = "https://issuer.test/keys";
const MINUTE_MS = 60_000;

let one: Signer;
let two: Signer;

beforeAll(async () => {
  [one, two] = await Promise.all([Signer.create("ES256", "one"), Signer.create("ES256", "two")]);
});

/** An issuer whose documents are in this process. */
class Fake {
  readonly documents = new Map<string, unknown>();
  readonly asked: string[] = [];
  readonly problems: string[] = [];
  now = 1_000_000;
  isDown = false;

  constructor(...signers: readonly Signer[]) {
    this.publish(...signers);
  }

  publish(...signers: readonly Signer[]): void {
    this.documents.set(URL, { keys: signers.map(({ publicJwk }) => publicJwk) });
  }

  keys(place: KeysPlace = { kind: "jwks", url: URL }): RemoteKeys {
    return new RemoteKeys({
      place,
      fetchJson: (url, { isTrusted }) => {
        this.asked.push(`${isTrusted ? "trusted" : "public"} ${url}`);
        const value = this.documents.get(url);
        const isThere = !this.isDown && value !== undefined;
        return Promise.resolve<Fetched>(isThere ? { ok: true, value } : { ok: false, problem: "down" });
      },
      monotonic: () => this.now,
      report: (problem) => this.problems.push(problem),
    });
  }
}

const kids = async (keys: RemoteKeys, kid: string | null) => (await keys.keysOf(kid)).map((key) => key.kid);

test("RemoteKeys asks once, however many come at the same time", async () => {
  const issuer = new Fake(one);
  const keys = issuer.keys();
  expect(issuer.asked).toEqual([]);
  await Promise.all([keys.keysOf("one"), keys.keysOf("one"), keys.keysOf("two"), keys.keysOf(null)]);
  expect(issuer.asked).toEqual([`trusted ${URL}`]);
});

test("RemoteKeys finds a new key at once, but is not sent asking by invented ones", async () => {
  const issuer = new Fake(one);
  const keys = issuer.keys();
  expect(await kids(keys, "one")).toEqual(["one"]);
  issuer.publish(one, two);
  issuer.now += 30_000;
  expect(await kids(keys, "two")).toEqual(["two"]);
  for (let at = 0; at < 100; at++) expect(await kids(keys, `invented-${at}`)).toEqual([]);
  expect(issuer.asked).toHaveLength(2);
  issuer.now += 30_000;
  for (let at = 0; at < 100; at++) expect(await kids(keys, `invented-${at}`)).toEqual([]);
  expect(issuer.asked).toHaveLength(3);
});

test("RemoteKeys forgets a key that is not published any more, after ten minutes", async () => {
  const issuer = new Fake(one, two);
  const keys = issuer.keys();
  expect(await kids(keys, "two")).toEqual(["two"]);
  issuer.publish(one);
  issuer.now += 10 * MINUTE_MS - 1;
  expect(await kids(keys, "two")).toEqual(["two"]);
  issuer.now += 1;
  expect(await kids(keys, "two")).toEqual([]);
});

test("RemoteKeys does not believe yesterday's keys when it could have asked", async () => {
  const issuer = new Fake(one, two);
  const keys = issuer.keys();
  await keys.keysOf("two");
  issuer.publish(one);
  issuer.now += 23 * 60 * MINUTE_MS;
  expect(await kids(keys, "two")).toEqual([]);
});

test("RemoteKeys keeps the last keys for a day while the issuer is down", async () => {
  const issuer = new Fake(one);
  const keys = issuer.keys();
  await keys.keysOf("one");
  issuer.isDown = true;
  issuer.now += 24 * 60 * MINUTE_MS - 1;
  expect(await kids(keys, "one")).toEqual(["one"]);
  issuer.now += 1;
  expect(await kids(keys, "one")).toEqual([]);
  issuer.isDown = false;
  issuer.now += MINUTE_MS;
  expect(await kids(keys, "one")).toEqual(["one"]);
  expect(issuer.problems).toEqual(["down"]);
});

test("RemoteKeys asks an issuer that is down twice a minute at most", async () => {
  const issuer = new Fake(one);
  issuer.isDown = true;
  const keys = issuer.keys();
  for (let at = 0; at < 60; at++) {
    expect(await kids(keys, "one")).toEqual([]);
    issuer.now += 1_000;
  }
  expect(issuer.asked).toHaveLength(2);
});

test.each([{}, [], null, { keys: {} }, { keys: [] }, { keys: [{ kty: "oct", k: "AAAA" }] }])(
  "RemoteKeys keeps what it has when the answer is %j",
  async (answer) => {
    const issuer = new Fake(one);
    const keys = issuer.keys();
    await keys.keysOf("one");
    issuer.documents.set(URL, answer);
    issuer.now += 10 * MINUTE_MS;
    expect(await kids(keys, "one")).toEqual(["one"]);
    expect(issuer.problems).toHaveLength(1);
  },
);

const DISCOVERY: KeysPlace = { kind: "discovery", issuer: ISSUER };
const METADATA = `${ISSUER}/.well-known/openid-configuration`;

test("RemoteKeys goes where the issuer's metadata points, trusting the issuer's host alone", async () => {
  const issuer = new Fake(one);
  issuer.documents.set(METADATA, { issuer: ISSUER, jwks_uri: URL });
  expect(await kids(issuer.keys(DISCOVERY), "one")).toEqual(["one"]);
  expect(issuer.asked).toEqual([`trusted ${METADATA}`, `trusted ${URL}`]);
  for (const elsewhere of [
    "https://issuer.test:444/keys",
    "http://issuer.test/keys",
    "http://10.0.0.1/keys",
  ]) {
    issuer.documents.set(METADATA, { issuer: ISSUER, jwks_uri: elsewhere });
    await issuer.keys(DISCOVERY).keysOf("one");
    expect(issuer.asked.at(-1)).toBe(`public ${elsewhere}`);
  }
});

test.each<[string, unknown]>([
  ["another issuer", { issuer: "https://evil.test", jwks_uri: URL }],
  ["the issuer with a slash", { issuer: `${ISSUER}/`, jwks_uri: URL }],
  ["no issuer", { jwks_uri: URL }],
  ["no keys", { issuer: ISSUER }],
  ["keys that are no address", { issuer: ISSUER, jwks_uri: [URL] }],
  ["nothing", null],
])("RemoteKeys believes no metadata with %s", async (_, metadata) => {
  const issuer = new Fake(one);
  issuer.documents.set(METADATA, metadata);
  expect(await kids(issuer.keys(DISCOVERY), "one")).toEqual([]);
  expect(issuer.asked).toEqual([`trusted ${METADATA}`]);
  expect(issuer.problems).toHaveLength(1);
});

test("RemoteKeys asks an issuer whose name ends in a slash at the right place", async () => {
  const issuer = new Fake(one);
  const name = "https://tenant.issuer.test/";
  issuer.documents.set("https://tenant.issuer.test/.well-known/openid-configuration", {
    issuer: name,
    jwks_uri: URL,
  });
  expect(await kids(issuer.keys({ kind: "discovery", issuer: name }), "one")).toEqual(["one"]);
});
