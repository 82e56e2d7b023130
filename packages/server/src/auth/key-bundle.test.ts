import { expect, test } from "bun:test";
import { calculateJwkThumbprint, exportJWK } from "jose";
import { EC_CERTIFICATE, EC_PRIVATE_KEY, RSA_CERTIFICATE } from "../../../../tests/support/certificates.ts";
import { Signer } from "../../../../tests/support/signed-tokens.ts";
import { readJwk } from "./jwk.ts";
import { libtrustId, parseKeyBundle } from "./key-bundle.ts";

const ec = await Signer.create("ES256", "ec");
const rsa = await Signer.create("RS256", "rsa");

test("libtrustId is what libtrust says of its example", async () => {
  const read = await readJwk({
    kty: "EC",
    crv: "P-256",
    x: "m7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q",
    y: "dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc",
  });
  const id = read === null ? null : await libtrustId(read.key);
  expect(id).toBe("PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6");
});

test("parseKeyBundle reads certificates and public keys, whatever stands between them", async () => {
  const text = `subject: someone\n${EC_CERTIFICATE}\n\n# comment\n${RSA_CERTIFICATE}${ec.pem}${rsa.pem.replaceAll("\n", "\r\n")}`;
  const { keys } = await parseKeyBundle(text);
  expect(keys.map(({ alg }) => alg)).toEqual(["ES256", "RS256", "ES256", "RS256"]);
});

test("parseKeyBundle reads a key set, and finds its keys under each of their names", async () => {
  const bundle = await parseKeyBundle(JSON.stringify({ keys: [ec.publicJwk, rsa.publicJwk] }));
  const jwk = await exportJWK(rsa.verificationKey.key);
  for (const kid of ["rsa", await calculateJwkThumbprint(jwk), await libtrustId(rsa.verificationKey.key)]) {
    expect(bundle.keysOf(kid).map((key) => key.kid)).toEqual(["rsa"]);
  }
  expect(bundle.keysOf("invented")).toHaveLength(2);
  expect(bundle.keysOf(null)).toHaveLength(2);
});

test.each<[string, string, string]>([
  ["nothing", "", "found no keys"],
  ["a private key", EC_PRIVATE_KEY, "found a PRIVATE KEY"],
  ["rubbish in PEM", ec.pem.replace(/\n[A-Za-z0-9+/]{10}/, "\nAAAAAAAAAA"), "no key that is usable"],
  ["many keys", ec.pem.repeat(65), "found 65 keys"],
  ["too much", `{${" ".repeat(1_048_576)}}`, "1048578 characters"],
  ["no JSON", "{", "not valid JSON"],
  ["no list", "{}", 'no list "keys"'],
  ["no usable key", '{"keys":[{"kty":"oct","k":"AAAA"}]}', "no key that verifies signatures"],
])("parseKeyBundle says what is wrong with %s", async (_, text, problem) => {
  await expect(parseKeyBundle(text)).rejects.toThrow(problem);
});
