import { describe, expect, test } from "bun:test";
import { decodeBase64url, encodeBase64url } from "./base64url.ts";
import { findUnverified, signJson } from "./json-signature.ts";
import { digestedBytes, parseManifest } from "./manifest.ts";
import { MEDIA_TYPE } from "./media-type.ts";
import { keyId } from "./signature-key.ts";

/** Signed by libtrust: what skopeo 1.9.3 pushed. */
const SIGNED = String.raw`{"name":"t/s1","tag":"v1","architecture":"amd64","fsLayers":[{"blobSum":"sha256:39f902e1684f46c1ebd8e50a873dac2f10daa977755a6b6b7c5f5ff369551678"},{"blobSum":"sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"},{"blobSum":"sha256:2151edc4e274ed92d19c7bd6c3aff2bb3664be77aa40f2c22eb6c09a9a5d6258"}],"history":[{"v1Compatibility":"{\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo \\u003ca\\u003e \\u0026 b\"],\"Env\":[\"A=1\"]},\"created\":\"2024-01-02T03:04:05.120Z\",\"id\":\"a16d4d96cdeacae98ac4f0dd2975be2532c37a5959fcbf7b1b148421c60f2ea4\",\"os\":\"linux\",\"parent\":\"47a993e4e58449923c2e9c828daffcf9e84fa04b6c97d5292f6efa4b0761e61a\"}"},{"v1Compatibility":"{\"id\":\"47a993e4e58449923c2e9c828daffcf9e84fa04b6c97d5292f6efa4b0761e61a\",\"parent\":\"0634d7405d94a0b804b22799d05bd2bd68b4cb7c160eb48e960bfe5da46aee63\",\"comment\":\"c\",\"created\":\"2024-01-02T03:04:05Z\",\"container_config\":{\"Cmd\":[\"ENV A=1\"]},\"author\":\"me\",\"throwaway\":true}"},{"v1Compatibility":"{\"id\":\"0634d7405d94a0b804b22799d05bd2bd68b4cb7c160eb48e960bfe5da46aee63\",\"created\":\"2024-01-02T03:04:05.12Z\",\"container_config\":{\"Cmd\":[\"ADD a \\u0026\\u0026 x\"]}}"}],"schemaVersion":1,"signatures":[{"header":{"jwk":{"crv":"P-256","kid":"25WC:LAGL:K4Z4:5SU2:7G7H:4PL6:DLGT:GAGQ:3WRJ:JP7R:GEPB:OIG7","kty":"EC","x":"OG0BRZMIxvg9N2ZTvigMQHePV71xbTRQKwMprVDVGcg","y":"koELlyzR1xtRMh_4f9bKSPZeOjkmHE9EkUspyTJT44M"},"alg":"ES256"},"signature":"YxTv_99RA_YckvqGr3_r2uBWKKLnVLklY6vjRqUivZm1MhSVjmPkVRoxz9x7gNyjGxTn8E3zadVcnPZpR_V9hw","protected":"eyJmb3JtYXRMZW5ndGgiOjEyMjYsImZvcm1hdFRhaWwiOiJmUSIsInRpbWUiOiIyMDI2LTExLTI4VDE0OjM2OjE2WiJ9"}]}`;
const BYTES = new TextEncoder().encode(SIGNED);

/** The bytes that were signed, or what is wrong. */
async function open(bytes: Uint8Array): Promise<string> {
  const parsed = parseManifest(bytes, MEDIA_TYPE.dockerSchema1Signed);
  if (!parsed.ok) return `refused: ${parsed.problem}`;
  const { manifest } = parsed;
  if (manifest.kind !== "schema1") throw new Error("another kind");
  const problem = await findUnverified(manifest.signed);
  return problem === null ? new TextDecoder().decode(digestedBytes(manifest, bytes)) : `refused: ${problem}`;
}

const PAYLOAD = `${SIGNED.slice(0, SIGNED.indexOf(',"signatures":'))}}`;

test("parseManifest and findUnverified read what libtrust signed", async () => {
  expect(await open(BYTES)).toBe(PAYLOAD);
  const parsed = parseManifest(BYTES, null);
  expect(parsed).toMatchObject({
    ok: true,
    manifest: {
      kind: "schema1",
      mediaType: MEDIA_TYPE.dockerSchema1Signed,
      name: "t/s1",
      tag: "v1",
      platform: { os: "linux", architecture: "amd64", variant: null },
    },
  });
});

test("no byte can be changed so that something else passes as signed", async () => {
  let accepted = 0;
  for (let at = 0; at < BYTES.length; at++) {
    for (const to of [0x20, 0x30, 0x41, 0x7d, 0xff]) {
      const changed = BYTES.slice();
      changed[at] = to;
      const result = await open(changed);
      if (result.startsWith("refused: ")) continue;
      // What is left: the byte that was there before, and white space around the signatures.
      expect(result).toBe(PAYLOAD);
      accepted += 1;
    }
  }
  expect(accepted).toBeGreaterThan(0);
}, 60_000);

test("no prefix and no repetition is accepted", async () => {
  for (let end = 0; end < BYTES.length; end += 7) {
    expect(await open(BYTES.subarray(0, end))).toStartWith("refused: ");
  }
  const twice = new Uint8Array([...BYTES, ...BYTES]);
  expect(await open(twice)).toStartWith("refused: ");
});

test("signJson signs what can be opened again", async () => {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const { x = "", y = "" } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const payload = JSON.stringify({ ...JSON.parse(PAYLOAD), "org.example": "größer ☃" }, null, 3);
  const signer = {
    jwk: { crv: "P-256", kid: await keyId(pair.publicKey), kty: "EC", x, y },
    sign: async (bytes: Uint8Array<ArrayBuffer>) =>
      new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, bytes)),
  } as const;
  expect(await open(await signJson(payload, signer, "2026-01-02T03:04:05Z"))).toBe(payload);
  await expect(signJson("{}", signer, "")).rejects.toThrow("not indented");
});

describe("base64url", () => {
  test.each([
    ["", []],
    ["AA", [0]],
    ["-_8", [0xfb, 0xff]],
    ["AAEC", [0, 1, 2]],
  ])("%s", (text, bytes) => {
    expect(encodeBase64url(Uint8Array.from(bytes))).toBe(text);
    expect(decodeBase64url(text)).toEqual(Uint8Array.from(bytes));
  });

  test.each(["A", "AAAAA", "AA==", "A A", "+/8", "AB", "AAB", "Ä"])("%p is none", (text) => {
    expect(decodeBase64url(text)).toBeNull();
  });

  test("a long text is the same as Buffer's", () => {
    const bytes = Uint8Array.from({ length: 20_001 }, (_, at) => (at * 31) & 0xff);
    expect(encodeBase64url(bytes)).toBe(Buffer.from(bytes).toString("base64url"));
  });
});
