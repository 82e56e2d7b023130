import { expect, test } from "bun:test";
import { exportJWK, generateKeyPair } from "jose";
import { Signer } from "../../../../tests/support/signed-tokens.ts";
import { KEYS_MAX, readJwk, readJwks } from "./jwk.ts";
import { JWT_ALGORITHMS } from "./jwt.ts";

const ec = await Signer.create("ES256", "ec");
const rsa = await Signer.create("RS256", "rsa");

test.each([...JWT_ALGORITHMS])("readJwk reads a key of %s", async (alg) => {
  const { publicJwk } = await Signer.create(alg);
  expect(await readJwk(publicJwk)).toMatchObject({ alg, kid: "key-1" });
});

test("readJwk pins what the type means when the key does not say", async () => {
  const algOf = async (signer: Signer) => (await readJwk({ ...signer.publicJwk, alg: undefined }))?.alg;
  expect(await algOf(ec)).toBe("ES256");
  expect(await algOf(rsa)).toBe("RS256");
  expect(await algOf(await Signer.create("ES512"))).toBe("ES512");
  expect(await algOf(await Signer.create("EdDSA"))).toBe("EdDSA");
});

test("readJwk reads the public part of a private key, and nothing more", async () => {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const read = await readJwk(await exportJWK(privateKey));
  expect(read?.key.type).toBe("public");
});

const weak = await crypto.subtle.generateKey(
  {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 1_024,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  },
  true,
  ["sign", "verify"],
);
const weakJwk = "publicKey" in weak ? await exportJWK(weak.publicKey) : {};

test.each<[string, unknown]>([
  ["for encryption", { ...ec.publicJwk, use: "enc" }],
  ["for other operations", { ...ec.publicJwk, key_ops: ["encrypt"] }],
  ["of an algorithm that is another's", { ...ec.publicJwk, alg: "RS256" }],
  ["of another curve's algorithm", { ...ec.publicJwk, alg: "ES384" }],
  ["of HS256", { ...ec.publicJwk, alg: "HS256" }],
  ["of none", { ...ec.publicJwk, alg: "none" }],
  ["that is symmetric", { kty: "oct", k: "AAAA", alg: "HS256" }],
  ["of 1024 bits", weakJwk],
  [
    "of 1024 bits that looks longer",
    { ...weakJwk, n: `${"A".repeat(172)}${"n" in weakJwk ? weakJwk.n : ""}` },
  ],
  ["with the exponent 1", { ...rsa.publicJwk, e: "AQ" }],
  ["with the exponent 0", { ...rsa.publicJwk, e: "AA" }],
  ["with an even exponent", { ...rsa.publicJwk, e: "AQAA" }],
  ["without its modulus", { ...rsa.publicJwk, n: undefined }],
  ["with a huge modulus", { ...rsa.publicJwk, n: "A".repeat(3_000) }],
  ["that is not on its curve", { ...ec.publicJwk, y: ec.publicJwk.x }],
  ["of another type than its curve", { ...ec.publicJwk, kty: "OKP" }],
  ["of the prototype", { ...ec.publicJwk, crv: "constructor" }],
  ["for X25519", { kty: "OKP", crv: "X25519", x: "AAAA" }],
  ["that is text", "key"],
  ["that is null", null],
])("readJwk takes no key %s", async (_, jwk) => {
  expect(await readJwk(jwk)).toBeNull();
});

test("readJwks leaves out what it cannot use, and reads no more than 64", async () => {
  expect(await readJwks({ keys: [null, { kty: "oct" }, ec.publicJwk, "x"] })).toHaveLength(1);
  const many = Array.from({ length: KEYS_MAX + 1 }, (_, at) => ({ ...ec.publicJwk, kid: String(at) }));
  expect(await readJwks({ keys: many })).toHaveLength(KEYS_MAX);
});
