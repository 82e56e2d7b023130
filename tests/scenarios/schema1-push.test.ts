import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { parseRepositoryName, type RepositoryName } from "@stowage/oci/repository-name";
import { blobOf, digestOf, imageOf } from "../support/content.ts";
import {
  ecKey,
  PRETTY_JWS,
  rsaKey,
  SCHEMA1_JSON,
  type SignatureEntry,
  schema1Of,
  signatureOf,
  type TestKey,
  withSignatures,
} from "../support/schema1.ts";
import { errorCode, TestApp } from "../support/test-app.ts";

const R = "/v2/t/r";
const KEY = ecKey();
const OTHER_KEY = ecKey();
const RSA = rsaKey();
const LAYERS = [blobOf("the newest layer"), blobOf("the oldest layer")];
const EMPTY_LAYER = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4";
const IMAGE = signed();
const PAYLOAD = IMAGE.payload;

let app: TestApp;
beforeEach(async () => {
  app = new TestApp();
  for (const layer of LAYERS) await app.pushBlob("t/r", layer);
});
afterEach(async () => {
  await app[Symbol.asyncDispose]();
});

function signed(extra: Readonly<Record<string, unknown>> = {}, key: TestKey = KEY) {
  return schema1Of({ name: "t/r", tag: "v1", key }, LAYERS, extra);
}

async function put(
  body: string | Uint8Array<ArrayBuffer>,
  contentType: string | null = PRETTY_JWS,
  reference = "v1",
) {
  const headers = contentType === null ? {} : { "Content-Type": contentType };
  // Text would bring a Content-Type of its own.
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return await app.request("PUT", `${R}/manifests/${reference}`, { headers, body: bytes });
}

async function stored(reference = "v1") {
  return await app.request("GET", `${R}/manifests/${reference}`);
}

test("a signed manifest is stored and comes back byte for byte, under the digest of what was signed", async () => {
  const pushed = await put(IMAGE.manifest.bytes);
  expect([pushed.status, pushed.headers.get("Docker-Content-Digest")]).toEqual([201, digestOf(PAYLOAD)]);
  expect(pushed.headers.get("Location")).toBe(`${R}/manifests/${digestOf(PAYLOAD)}`);
  for (const reference of ["v1", digestOf(PAYLOAD)]) {
    for (const Accept of ["", "*/*", SCHEMA1_JSON, "application/vnd.oci.image.index.v1+json"]) {
      for (const method of ["GET", "HEAD"]) {
        const answer = await app.request(method, `${R}/manifests/${reference}`, { headers: { Accept } });
        expect(Object.fromEntries(answer.headers)).toMatchObject({
          "content-type": PRETTY_JWS,
          "content-length": String(IMAGE.manifest.bytes.byteLength),
          "docker-content-digest": digestOf(PAYLOAD),
          etag: `W/"${digestOf(PAYLOAD)}"`,
        });
        if (method === "GET")
          expect(Buffer.from(await answer.bytes()).equals(IMAGE.manifest.bytes)).toBe(true);
      }
    }
  }
  const headers = { "If-None-Match": `"${digestOf(PAYLOAD)}"` };
  expect((await app.request("GET", `${R}/manifests/v1`, { headers })).status).toBe(304);
});

test.each([
  ["application/vnd.docker.distribution.manifest.v1+json", SCHEMA1_JSON],
  ["application/json", "application/json"],
  ["parameters", `${PRETTY_JWS}; charset=utf-8`],
  ["no Content-Type", null],
])("it is recognised with %s, and sent as what it is", async (_, contentType) => {
  expect((await put(IMAGE.manifest.bytes, contentType)).status).toBe(201);
  expect((await stored()).headers.get("Content-Type")).toBe(PRETTY_JWS);
});

test.each([
  ["ES384", ecKey("P-384")],
  ["ES512", ecKey("P-521")],
  ["RS256", RSA],
  ["RS512", { ...RSA, alg: "RS512", hash: "sha512" }],
  ["ES256 without a key id", { ...KEY, jwk: { ...KEY.jwk, kid: undefined } }],
])("a signature by %s is accepted", async (_, key) => {
  expect((await put(signed({}, key).manifest.bytes)).status).toBe(201);
});

test("several signatures are accepted when all are right", async () => {
  const both = [signatureOf(PAYLOAD, KEY), signatureOf(PAYLOAD, RSA)];
  expect((await put(withSignatures(PAYLOAD, both))).status).toBe(201);
  expect(await errorCode(await put(withSignatures(PAYLOAD, [...both, forged()])))).toBe(
    "MANIFEST_UNVERIFIED",
  );
});

test("the same image signed by another: the one that came first stays", async () => {
  await put(IMAGE.manifest.bytes);
  const again = await put(signed({}, OTHER_KEY).manifest.bytes);
  expect([again.status, again.headers.get("Docker-Content-Digest")]).toEqual([201, digestOf(PAYLOAD)]);
  expect(Buffer.from(await (await stored()).bytes()).equals(IMAGE.manifest.bytes)).toBe(true);
});

test("PUT by digest: that of what was signed, not that of the bytes", async () => {
  const { bytes } = IMAGE.manifest;
  expect(await errorCode(await put(bytes, PRETTY_JWS, digestOf(bytes)))).toBe("DIGEST_INVALID");
  expect((await put(bytes, PRETTY_JWS, digestOf(PAYLOAD))).status).toBe(201);
  const long = digestOf(PAYLOAD, "sha512");
  expect((await put(bytes, PRETTY_JWS, `${long}?tag=v1`)).headers.get("Docker-Content-Digest")).toBe(long);
  expect(await errorCode(await put(bytes, PRETTY_JWS, `${long}?tag=v2`))).toBe("MANIFEST_INVALID");
});

test("text of several bytes per character is signed by bytes", async () => {
  const image = schema1Of({ name: "t/r", tag: "v1", key: KEY }, LAYERS, { "org.example": "größer ☃ 𝄞" });
  const pushed = await put(image.manifest.bytes);
  expect([pushed.status, pushed.headers.get("Docker-Content-Digest")]).toEqual([
    201,
    digestOf(image.payload),
  ]);
});

function forged(): SignatureEntry {
  return { ...signatureOf(PAYLOAD, KEY), header: { jwk: OTHER_KEY.jwk, alg: "ES256" } };
}

/** The right signature, with some of its header replaced. */
function entry(header: Readonly<Record<string, unknown>>, key: TestKey = KEY): SignatureEntry {
  const right = signatureOf(PAYLOAD, key);
  return { ...right, header: { ...right.header, ...header } };
}

const tampered = (from: string, to: string) => Buffer.from(IMAGE.manifest.bytes).toString().replace(from, to);
const one = (signature: unknown) => withSignatures(PAYLOAD, [signature]);
const PREFIX = Buffer.byteLength(PAYLOAD.slice(0, PAYLOAD.indexOf(',\n   "architecture"')));
const tail = (text: string) => Buffer.from(text).toString("base64url");

describe("MANIFEST_UNVERIFIED", () => {
  test.each([
    ["no signatures", PAYLOAD],
    ["an empty list", withSignatures(PAYLOAD, [])],
    ["signatures that are no list", `${PAYLOAD.slice(0, -2)}, "signatures": {}}`],
    ["nine signatures", withSignatures(PAYLOAD, Array(9).fill(signatureOf(PAYLOAD, KEY)))],
    ["a layer that was changed", tampered(LAYERS[0]?.digest ?? "", digestOf("another"))],
    ["a space that was added", tampered('"schemaVersion": 1', '"schemaVersion":  1')],
    ["somebody else's key", one(forged())],
    ["a signature of null", one(null)],
    ["a header of null", one({ ...entry({}), header: null })],
    ["no protected header", one({ ...entry({}), protected: undefined })],
    ["a protected header that is no JSON", one({ ...entry({}), protected: tail("{") })],
    [
      "a protected header that says a thing twice",
      one({ ...entry({}), protected: tail('{"formatLength":9,"formatlength":1}') }),
    ],
    ["a protected header that is endless", one({ ...entry({}), protected: "A".repeat(4_000) })],
    ["a signature that is no base64url", one({ ...entry({}), signature: "!!!!" })],
    ["a signature of no bytes", one({ ...entry({}), signature: "" })],
    ["a signature with padding", one({ ...entry({}), signature: `${entry({}).signature}==` })],
    ["no alg", one(entry({ alg: undefined }))],
    ["alg none", one(entry({ alg: "none" }))],
    ["HS256 with the public key", one(entry({ alg: "HS256" }))],
    ["HS256 with a secret", one(entry({ alg: "HS256", jwk: { kty: "oct", k: "c2VjcmV0" } }))],
    ["an alg of another curve", one(entry({ alg: "ES384" }))],
    ["an alg of RSA for a curve", one(entry({ alg: "RS256" }))],
    ["no key", one(entry({ jwk: undefined }))],
    ["a private key", one(entry({ jwk: { ...KEY.jwk, d: "AAAA" } }))],
    ["a key of an unknown curve", one(entry({ jwk: { ...KEY.jwk, crv: "secp256k1" } }))],
    [
      "a point outside the curve",
      one(entry({ jwk: { ...KEY.jwk, kid: undefined, x: tail("x".repeat(32)) } })),
    ],
    ["a coordinate of 31 bytes", one(entry({ jwk: { ...KEY.jwk, x: tail("x".repeat(31)) } }))],
    ["a coordinate that is a number", one(entry({ jwk: { ...KEY.jwk, x: 7 } }))],
    ["another key's id", one(entry({ jwk: { ...KEY.jwk, kid: OTHER_KEY.jwk.kid } }))],
    ["an RSA key of 1024 bits", one(entry({}, rsaKey(1_024)))],
    ["an RSA key with the exponent 1", one(entry({ jwk: { ...RSA.jwk, e: "AQ" } }, RSA))],
    ["an RSA key with PSS", one(entry({ alg: "PS256" }, RSA))],
    ["a certificate beside the key", one(entry({ x5c: ["MIIB"] }))],
    ["formatLength 0", one(signatureOf(PAYLOAD, KEY, { formatLength: 0 }))],
    ["formatLength -1", one(signatureOf(PAYLOAD, KEY, { formatLength: -1 }))],
    ["formatLength 1.5", one(signatureOf(PAYLOAD, KEY, { formatLength: 1.5 }))],
    ["formatLength as text", one(signatureOf(PAYLOAD, KEY, { formatLength: "10" }))],
    ["formatLength 2^53", one(signatureOf(PAYLOAD, KEY, { formatLength: 2 ** 53 }))],
    ["formatLength beyond the end", one(signatureOf(PAYLOAD, KEY, { formatLength: 1_000_000 }))],
    ["no formatTail", one(signatureOf(PAYLOAD, KEY, { formatTail: undefined }))],
    ["a formatTail with members", one(signatureOf(PAYLOAD, KEY, { formatTail: tail(',"tag":"v2"}') }))],
    ["a formatTail without end", one(signatureOf(PAYLOAD, KEY, { formatTail: tail(`${" ".repeat(90)}}`) }))],
    [
      "signatures that disagree about the length",
      withSignatures(PAYLOAD, [entry({}), signatureOf(PAYLOAD, KEY, { formatLength: 9 })]),
    ],
    ["a member behind the signatures", `${one(entry({})).slice(0, -2)}, "extra": 1}`],
  ])("%s", async (_, body) => {
    const answer = await put(body);
    expect([answer.status, await errorCode(answer)]).toEqual([400, "MANIFEST_UNVERIFIED"]);
    expect((await stored()).status).toBe(404);
  });

  test("only a part of the document was signed", async () => {
    const signedPart = `${PAYLOAD.slice(0, PREFIX)}\n}`;
    const answer = await put(withSignatures(PAYLOAD, [signatureOf(signedPart, KEY)]));
    expect(await errorCode(answer)).toBe("MANIFEST_UNVERIFIED");
  });
});

describe("MANIFEST_INVALID", () => {
  test.each([
    ["another repository's name", signed({ name: "t/other" })],
    ["a name in other letters", signed({ name: "T/R" })],
    ["another tag", signed({ tag: "v2" })],
    ["no tag", signed({ tag: undefined })],
    ["a tag that is a number", signed({ tag: 1 })],
    ["no architecture", signed({ architecture: undefined })],
    ["schemaVersion 2", signed({ schemaVersion: 2 })],
    ["schemaVersion as text", signed({ schemaVersion: "1" })],
    ["fewer entries of history than layers", signed({ history: [{ v1Compatibility: "{}" }] })],
    ["no layers", signed({ fsLayers: [], history: [] })],
    ["layers that are no list", signed({ fsLayers: {} })],
    ["a layer of null", signed({ fsLayers: [null, null] })],
    ["a digest that is none", signed({ fsLayers: [{ blobSum: "sha256:x" }, { blobSum: "sha256:y" }] })],
    ["a history of numbers", signed({ history: [{ v1Compatibility: 1 }, { v1Compatibility: 2 }] })],
    ["parts of another kind of manifest", signed({ layers: [] })],
    ["a config", signed({ config: {} })],
    ["manifests", signed({ manifests: [] })],
    ["a mediaType", signed({ mediaType: PRETTY_JWS })],
    ["too many layers", signed({ fsLayers: Array(5_000).fill({ blobSum: LAYERS[0]?.digest }) })],
  ])("%s", async (_, { manifest }) => {
    const answer = await put(manifest.bytes);
    expect([answer.status, await errorCode(answer)]).toEqual([400, "MANIFEST_INVALID"]);
  });

  test.each([
    ["a key twice", tampered('"tag": "v1"', '"tag": "v1", "Tag": "v1"')],
    ["not JSON", "{"],
    ["not an object", "[]"],
  ])("%s", async (_, body) => {
    expect(await errorCode(await put(body))).toBe("MANIFEST_INVALID");
  });

  test.each([
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
  ])("as %s", async (contentType) => {
    expect(await errorCode(await put(IMAGE.manifest.bytes, contentType))).toBe("MANIFEST_INVALID");
  });

  test("the tag it is pushed under is not the one inside", async () => {
    expect(await errorCode(await put(IMAGE.manifest.bytes, PRETTY_JWS, "v2"))).toBe("MANIFEST_INVALID");
  });

  test("switched off, with what would switch it on", async () => {
    await using off = new TestApp({ schema1: "off" });
    await off.pushBlob("t/r", LAYERS[0] ?? blobOf(""));
    const answer = await off.pushManifest("t/r", "v1", IMAGE);
    expect([answer.status, await answer.json()]).toMatchObject([
      400,
      { errors: [{ code: "MANIFEST_INVALID", message: expect.stringContaining("--schema1=asked") }] },
    ]);
  });
});

test("layers that the repository does not have are named", async () => {
  const missing = blobOf("never pushed");
  const image = schema1Of({ name: "t/r", tag: "v1", key: KEY }, [missing, ...LAYERS]);
  const answer = await put(image.manifest.bytes);
  expect([answer.status, await answer.json()]).toMatchObject([
    400,
    { errors: [{ code: "MANIFEST_BLOB_UNKNOWN", detail: { digests: [missing.digest] } }] },
  ]);
});

test("the empty layer need not be pushed, and is the repository's own from then on", async () => {
  const empty = { bytes: new Uint8Array(), digest: EMPTY_LAYER as ReturnType<typeof digestOf> };
  const image = schema1Of({ name: "t/r", tag: "v1", key: KEY }, [empty, ...LAYERS, empty]);
  expect((await put(image.manifest.bytes)).status).toBe(201);
  const oci = imageOf([{ ...empty, bytes: new Uint8Array(32) }]);
  await app.pushBlob("t/oci", oci.config);
  expect((await app.pushManifest("t/oci", "v1", oci)).status).toBe(201);
  for (const repository of ["t/r", "t/oci"].map(requireName)) {
    expect((await app.metadata.blobs.find(repository, empty.digest))?.size).toBe(32);
  }
});

function requireName(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === null) throw new Error(`${text} is no name`);
  return name;
}
