import { expect, test } from "bun:test";
import { calculateJwkThumbprint, exportJWK, importPKCS8, importX509 } from "jose";
import { EC_CERTIFICATE, EC_PRIVATE_KEY, RSA_CERTIFICATE } from "../../../../tests/support/certificates.ts";
import { Signer } from "../../../../tests/support/signed-tokens.ts";
import { ExternalIssuer, type ExternalIssuerOptions } from "./external-issuer.ts";
import { libtrustId, parseKeyBundle } from "./key-bundle.ts";
import type { JwtRefusal } from "./jwt.ts";

const NOW = 1_800_000_000;

const rsa = await Signer.create("RS256", null);
const other = await Signer.create("RS256", null);
const bundle = await parseKeyBundle(`${RSA_CERTIFICATE}${other.pem}${rsa.pem}`);

const rsaId = await libtrustId(rsa.verificationKey.key);
const rsaThumbprint = await calculateJwkThumbprint(await exportJWK(rsa.verificationKey.key));

const trusting = (options: Partial<ExternalIssuerOptions> = {}): ExternalIssuer =>
  new ExternalIssuer({
    issuer: "harbor-token-issuer",
    service: "harbor-registry",
    keys: bundle,
    now: () => NOW * 1_000,
    ...options,
  });

/** As Harbor's core makes it (golang-jwt and a key id of libtrust). */
const HARBOR = {
  iss: "harbor-token-issuer",
  sub: "admin",
  aud: "harbor-registry",
  exp: NOW + 1_800,
  nbf: NOW,
  iat: NOW,
  jti: "XRZddoqgTYuW6UdI",
  access: [{ type: "repository", name: "library/mysql/5.6.35", actions: ["push", "*", "pull"] }],
};

test("ExternalIssuer believes Harbor's tokens", async () => {
  const token = await rsa.sign(HARBOR, { typ: "JWT", alg: "RS256", kid: rsaId });
  expect(await trusting().verify(token)).toEqual({
    ok: true,
    subject: "admin",
    access: HARBOR.access,
    expiredAt: null,
  });
});

test("ExternalIssuer believes GitLab's tokens", async () => {
  const { keys } = await parseKeyBundle(rsa.pem);
  const issuer = trusting({
    issuer: "gitlab-issuer",
    service: "container_registry",
    keys: { keysOf: () => keys },
  });
  const access = [{ type: "repository", name: "acme/app", actions: ["pull", "push"] }];
  const claims = {
    access: access.map((entry) => ({
      ...entry,
      meta: { project_path: "acme/app", project_id: 7, root_namespace_id: 3 },
    })),
    jti: "f5b5e1a5-4b8e-4bbf-9c0e-0f6d7c8f6f10",
    aud: "container_registry",
    sub: "alice",
    iss: "gitlab-issuer",
    iat: NOW,
    nbf: NOW - 5,
    exp: NOW + 300,
    auth_type: "gitlab_or_ldap",
    user: "eyJ0eXAiOiJKV1QifQ",
  };
  const token = await rsa.sign(claims, { typ: "JWT", alg: "RS256", kid: rsaId });
  expect(await issuer.verify(token)).toMatchObject({ ok: true, subject: "alice", access });
});

test("ExternalIssuer believes the tokens of distribution's token server, and not the key that they carry", async () => {
  const claims = { ...HARBOR, sub: "", access: null, nbf: NOW - 1 };
  const jwk = await exportJWK(rsa.verificationKey.key);
  const good = await rsa.sign(claims, { typ: "JWT", alg: "RS256", jwk: { ...jwk, kid: rsaId } });
  expect(await trusting().verify(good)).toMatchObject({ ok: true, subject: "", access: [] });
  const stranger = await Signer.create("RS256", null);
  const forged = await stranger.sign(claims, { typ: "JWT", alg: "RS256", jwk: stranger.publicJwk });
  expect(await trusting().verify(forged)).toEqual({ ok: false, reason: "signature" });
});

test.each<[string, string | undefined]>([
  ["a thumbprint", rsaThumbprint],
  ["a libtrust id", rsaId],
  ["an id that it made up", "key of 2026"],
  ["none", undefined],
])("ExternalIssuer finds the key by %s", async (_, kid) => {
  const token = await rsa.sign(HARBOR, { alg: "RS256", kid });
  expect(await trusting().verify(token)).toMatchObject({ ok: true });
});

test("ExternalIssuer does not try other keys than the one that is named", async () => {
  const token = await other.sign(HARBOR, { alg: "RS256", kid: rsaId });
  expect(await trusting().verify(token)).toEqual({ ok: false, reason: "signature" });
});

test("ExternalIssuer takes the key of a certificate in the file; a chain in the token leads nowhere", async () => {
  const pair = {
    privateKey: await importPKCS8(EC_PRIVATE_KEY, "ES256"),
    publicKey: await importX509(EC_CERTIFICATE, "ES256", { extractable: true }),
  };
  const signer = await Signer.of("ES256", null, pair);
  const x5c = [EC_CERTIFICATE.replace(/-----[A-Z ]+-----|\s/g, "")];
  const token = await signer.sign(HARBOR, { alg: "ES256", typ: "JWT", x5c });
  const keys = await parseKeyBundle(EC_CERTIFICATE);
  expect(await trusting({ keys }).verify(token)).toMatchObject({ ok: true });
  expect(await trusting().verify(token)).toEqual({ ok: false, reason: "unknown-key" });
});

test("ExternalIssuer tries all keys of a set that does not name them as the token does", async () => {
  const asked: (string | null)[] = [];
  const keysOf = (kid: string | null) => {
    asked.push(kid);
    return Promise.resolve(kid === null ? bundle.keys : []);
  };
  const token = await rsa.sign(HARBOR, { alg: "RS256", kid: rsaId });
  expect(await trusting({ keys: { keysOf } }).verify(token)).toMatchObject({ ok: true });
  expect(asked).toEqual([rsaId, null]);
});

test("ExternalIssuer knows an expired token for a while, when asked to", async () => {
  const token = await rsa.sign(
    { ...HARBOR, iat: NOW - 300, nbf: NOW - 300, exp: NOW - 100 },
    { alg: "RS256" },
  );
  expect(await trusting().verify(token)).toEqual({ ok: false, reason: "expired" });
  expect(await trusting({ graceSeconds: 3_600 }).verify(token)).toMatchObject({
    ok: true,
    expiredAt: (NOW - 100) * 1_000,
  });
});

test.each<[string, Readonly<Record<string, unknown>>, JwtRefusal]>([
  ["another service", { aud: "other" }, "audience"],
  ["another issuer", { iss: "harbor-token-issuer2" }, "issuer"],
  ["a life of two hours", { exp: NOW + 7_200 }, "claims"],
  ["access as text", { access: "repository:a:pull" }, "claims"],
  ["access as an object", { access: { type: "repository", name: "a", actions: ["pull"] } }, "claims"],
  ["access without a name", { access: [{ type: "repository", actions: ["pull"] }] }, "claims"],
  ["a name that is no text", { access: [{ type: "repository", name: ["a"], actions: ["pull"] }] }, "claims"],
  ["actions as text", { access: [{ type: "repository", name: "a", actions: "pull" }] }, "claims"],
  ["actions that are no text", { access: [{ type: "repository", name: "a", actions: [{}] }] }, "claims"],
  ["an entry that is null", { access: [null] }, "claims"],
  ["endless access", { access: Array(1_001).fill({ type: "a", name: "a", actions: [] }) }, "malformed"],
])("ExternalIssuer refuses a token with %s", async (_, claims, reason) => {
  const token = await rsa.sign({ ...HARBOR, ...claims }, { alg: "RS256", kid: rsaId });
  expect(await trusting().verify(token)).toEqual({ ok: false, reason });
});

test("ExternalIssuer allows a longer life when its configuration does", async () => {
  const token = await rsa.sign({ ...HARBOR, exp: NOW + 7_200 }, { alg: "RS256", kid: rsaId });
  expect(await trusting({ lifetimeSecondsMax: 7_200 }).verify(token)).toMatchObject({ ok: true });
});
