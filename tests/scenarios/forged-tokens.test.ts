import { expect, test } from "bun:test";
import {
  JWT_ALGORITHMS,
  JWT_LENGTH_MAX,
  type JwtRefusal,
  type JwtRules,
  verifyJwt,
} from "@stowage/server/auth/jwt";
import { base64url, jsonPart, Signer } from "../support/signed-tokens.ts";

const NOW = 1_800_000_000;
const ISSUER = "https://issuer.example.com";
const AUDIENCE = "registry.example.com";

const issuer = await Signer.create("ES256");
const rsaIssuer = await Signer.create("RS256", "rsa-1");
const attacker = await Signer.create("ES256", "key-1");

const CLAIMS = { iss: ISSUER, aud: AUDIENCE, sub: "alice", iat: NOW - 10, nbf: NOW - 10, exp: NOW + 290 };

const KEYS = [issuer.verificationKey, rsaIssuer.verificationKey];

const RULES: JwtRules = {
  keyOf: (kid) => KEYS.filter((key) => kid === null || key.kid === kid),
  issuer: ISSUER,
  audience: AUDIENCE,
  now: () => NOW * 1_000,
  leewaySeconds: 30,
  lifetimeSecondsMax: 3_600,
};

async function verdict(token: string, rules: Partial<JwtRules> = {}): Promise<"good" | JwtRefusal> {
  const judged = await verifyJwt(token, { ...RULES, ...rules });
  return judged.ok ? "good" : judged.reason;
}

const withHeader = (extra: Readonly<Record<string, unknown>>): Promise<string> =>
  issuer.sign(CLAIMS, { ...issuer.header, ...extra });

/** Signed by the attacker's own key, with whatever the header offers. */
const forged = (extra: Readonly<Record<string, unknown>>): Promise<string> =>
  attacker.sign(CLAIMS, { ...attacker.header, ...extra });

const withClaims = (extra: Readonly<Record<string, unknown>>): Promise<string> =>
  issuer.sign({ ...CLAIMS, ...extra });

function without(claim: keyof typeof CLAIMS): Promise<string> {
  const { [claim]: _, ...rest } = CLAIMS;
  return issuer.sign(rest);
}

/** HMAC with a public key as the secret: what a verifier accepts that lets the header choose. */
function confused(secret: string | Uint8Array, alg: "HS256" | "HS384" | "HS512" = "HS256"): string {
  const signed = `${jsonPart({ alg, typ: "JWT", kid: "rsa-1" })}.${jsonPart(CLAIMS)}`;
  const hash = { HS256: "sha256", HS384: "sha384", HS512: "sha512" } as const;
  return `${signed}.${new Bun.CryptoHasher(hash[alg], secret).update(signed).digest("base64url")}`;
}

async function withSignature(change: (signature: Buffer) => Uint8Array): Promise<string> {
  const [header, payload, signature = ""] = (await issuer.sign(CLAIMS)).split(".");
  return `${header}.${payload}.${base64url(change(Buffer.from(signature, "base64url")))}`;
}

/** ASN.1 as OpenSSL writes ECDSA signatures. */
function toDer(signature: Buffer): Uint8Array {
  const integer = (bytes: Buffer) => Buffer.from([2, bytes.length + 1, 0, ...bytes]);
  const body = Buffer.concat([integer(signature.subarray(0, 32)), integer(signature.subarray(32))]);
  return Buffer.from([0x30, body.length, ...body]);
}

const ORDER = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
const zero = Buffer.alloc(32);
const one = Buffer.concat([Buffer.alloc(31), Buffer.from([1])]);

const JUST_GOOD: readonly (readonly [string, () => string | Promise<string>, Partial<JwtRules>?])[] = [
  ["as the issuer signs it", () => issuer.sign(CLAIMS)],
  ["of an RSA key", () => rsaIssuer.sign(CLAIMS)],
  ["without kid", () => issuer.sign(CLAIMS, { alg: "ES256" })],
  ["with typ at+jwt", () => withHeader({ typ: "at+JWT" })],
  ["with an audience among others", () => withClaims({ aud: ["other", AUDIENCE] })],
  ["with iat within the leeway", () => withClaims({ iat: NOW + 29, nbf: NOW + 29 })],
  ["with exp within the leeway", () => withClaims({ exp: NOW - 5 })],
  ["with the longest lifetime", () => withClaims({ iat: NOW, exp: NOW + 3_600 })],
  ["without nbf and sub", () => issuer.sign({ ...CLAIMS, nbf: undefined, sub: undefined })],
  ["with a fraction of a second", () => withClaims({ iat: NOW - 0.5 })],
  ["with a foreign jwk beside the right signature", () => withHeader({ jwk: attacker.publicJwk })],
  ["that ended within the grace", () => withClaims({ exp: NOW - 9, iat: NOW - 300 }), { graceSeconds: 60 }],
];

test.each([...JUST_GOOD])("a token %s is good", async (_, token, rules = {}) => {
  expect(await verdict(await token(), rules)).toBe("good");
});

test.each([...JWT_ALGORITHMS])("a token of %s is good, and of no other key", async (alg) => {
  const [signer, other] = [await Signer.create(alg), await Signer.create(alg)];
  const token = await signer.sign(CLAIMS);
  expect(await verdict(token, { keyOf: () => [signer.verificationKey] })).toBe("good");
  expect(await verdict(token, { keyOf: () => [other.verificationKey] })).toBe("signature");
  expect(await verdict(token, { keyOf: () => [other.verificationKey, signer.verificationKey] })).toBe("good");
});

test("both names of EdDSA are one algorithm", async () => {
  const signer = await Signer.create("EdDSA");
  const token = await signer.sign(CLAIMS, { alg: "Ed25519" });
  expect(await verdict(token, { keyOf: () => [signer.verificationKey] })).toBe("good");
});

const unsigned = (alg: unknown): string => `${jsonPart({ alg, typ: "JWT" })}.${jsonPart(CLAIMS)}`;
const none = ["none", "None", "NONE", "nOnE", "none ", "", "null", null, 0, [], ["ES256"], {}, undefined];
const raw = (payload: string): Promise<string> =>
  issuer.signParts(jsonPart(issuer.header), base64url(payload));
const rawHeader = (header: string): Promise<string> => issuer.signParts(base64url(header), jsonPart(CLAIMS));

type Row = readonly [attack: string, token: () => string | Promise<string>, reason: JwtRefusal];

const ATTACKS: readonly Row[] = [
  ...none.flatMap((alg): readonly Row[] => [
    [`alg ${JSON.stringify(alg)} without signature`, () => `${unsigned(alg)}.`, "malformed"],
    [`alg ${JSON.stringify(alg)} with a signature`, () => `${unsigned(alg)}.AAAA`, "malformed"],
    [`alg ${JSON.stringify(alg)} in two parts`, () => unsigned(alg), "malformed"],
    [`alg ${JSON.stringify(alg)} signed by the right key`, () => withHeader({ alg }), "malformed"],
  ]),
  ["HS256 with the PEM as secret", () => confused(rsaIssuer.pem), "malformed"],
  ["HS256 with the PEM without its last newline", () => confused(rsaIssuer.pem.trimEnd()), "malformed"],
  ["HS256 with the DER as secret", () => confused(rsaIssuer.spki), "malformed"],
  ["HS256 with the JWK as secret", () => confused(JSON.stringify(rsaIssuer.publicJwk)), "malformed"],
  ["HS384 with the PEM as secret", () => confused(rsaIssuer.pem, "HS384"), "malformed"],
  ["HS512 with the PEM as secret", () => confused(rsaIssuer.pem, "HS512"), "malformed"],
  ["lower-case alg", () => withHeader({ alg: "es256" }), "malformed"],
  ["ES256K", () => withHeader({ alg: "ES256K" }), "malformed"],
  ["another algorithm than the key's", () => withHeader({ alg: "ES384" }), "unknown-key"],
  [
    "RS256 with the EC key's kid",
    () => rsaIssuer.sign(CLAIMS, { alg: "RS256", kid: "key-1" }),
    "unknown-key",
  ],
  ["PS256 with an RS256 key", () => rsaIssuer.sign(CLAIMS, { alg: "PS256", kid: "rsa-1" }), "unknown-key"],

  ["an own key under the right kid", () => attacker.sign(CLAIMS), "signature"],
  ["an own key without kid", () => attacker.sign(CLAIMS, { alg: "ES256" }), "signature"],
  ["an own key in jwk", () => forged({ jwk: attacker.publicJwk }), "signature"],
  ["an own key in jwk, without kid", () => forged({ kid: undefined, jwk: attacker.publicJwk }), "signature"],
  ["an own key in jwk, with its own kid", () => forged({ kid: "x", jwk: attacker.publicJwk }), "unknown-key"],
  ["an own key by jku", () => forged({ jku: "https://evil.example/jwks" }), "signature"],
  ["an own key by jku and kid", () => forged({ kid: "x", jku: "https://evil.example/jwks" }), "unknown-key"],
  ["an own key by x5u", () => forged({ x5u: "https://evil.example/cert.pem" }), "signature"],
  ["an own key in x5c", () => forged({ x5c: [Buffer.from(attacker.spki).toString("base64")] }), "signature"],
  ["an unknown kid", () => withHeader({ kid: "key-2" }), "unknown-key"],
  ["a kid that is a path", () => withHeader({ kid: "../../../../dev/null" }), "unknown-key"],
  ["a kid that is SQL", () => withHeader({ kid: "x' UNION SELECT 'secret" }), "unknown-key"],
  ["a kid of the prototype", () => withHeader({ kid: "__proto__" }), "unknown-key"],
  ["an empty kid", () => withHeader({ kid: "" }), "unknown-key"],
  ["a kid that is a number", () => withHeader({ kid: 1 }), "malformed"],
  ["a kid that is a list", () => withHeader({ kid: ["key-1"] }), "malformed"],
  ["a kid that is null", () => withHeader({ kid: null }), "malformed"],
  ["a huge kid", () => withHeader({ kid: "k".repeat(513) }), "malformed"],
  ["crit that nobody knows", () => withHeader({ crit: ["exp"], exp: NOW }), "malformed"],
  ["empty crit", () => withHeader({ crit: [] }), "malformed"],
  ["b64 false", () => withHeader({ b64: false, crit: ["b64"] }), "malformed"],
  ["b64 false without crit", () => withHeader({ b64: false }), "malformed"],
  ["b64 true", () => withHeader({ b64: true }), "malformed"],
  ["another typ", () => withHeader({ typ: "dpop+jwt" }), "malformed"],
  ["a refresh token's typ", () => withHeader({ typ: "refresh+jwt" }), "malformed"],
  ["typ that is no text", () => withHeader({ typ: ["JWT"] }), "malformed"],

  ["another audience", () => withClaims({ aud: "other.example.com" }), "audience"],
  ["a longer audience", () => withClaims({ aud: `${AUDIENCE}.evil.example` }), "audience"],
  ["a shorter audience", () => withClaims({ aud: "registry.example" }), "audience"],
  ["an audience in other case", () => withClaims({ aud: AUDIENCE.toUpperCase() }), "audience"],
  ["other audiences", () => withClaims({ aud: ["a", "b"] }), "audience"],
  ["a nested audience", () => withClaims({ aud: [[AUDIENCE]] }), "audience"],
  ["an audience among what is no text", () => withClaims({ aud: [AUDIENCE, 1] }), "audience"],
  ["an audience that is an object", () => withClaims({ aud: { 0: AUDIENCE, length: 1 } }), "audience"],
  ["audiences joined by a space", () => withClaims({ aud: `other ${AUDIENCE}` }), "audience"],
  ["no audience", () => without("aud"), "audience"],
  ["an empty list of audiences", () => withClaims({ aud: [] }), "audience"],
  ["another issuer", () => withClaims({ iss: "https://evil.example" }), "issuer"],
  ["an issuer with a slash more", () => withClaims({ iss: `${ISSUER}/` }), "issuer"],
  ["an issuer in other case", () => withClaims({ iss: "https://Issuer.example.com" }), "issuer"],
  ["a list of issuers", () => withClaims({ iss: [ISSUER] }), "issuer"],
  ["no issuer", () => without("iss"), "issuer"],

  ["exp that passed", () => withClaims({ iat: NOW - 300, exp: NOW - 31 }), "expired"],
  ["exp that passes now, the leeway gone", () => withClaims({ iat: NOW - 300, exp: NOW - 30 }), "expired"],
  ["no exp", () => without("exp"), "claims"],
  ["exp null", () => withClaims({ exp: null }), "claims"],
  ["exp as text", () => withClaims({ exp: String(NOW + 290) }), "claims"],
  ["exp as a list", () => withClaims({ exp: [NOW + 290] }), "claims"],
  ["exp as true", () => withClaims({ exp: true }), "claims"],
  ["a huge exp", () => withClaims({ exp: 1e300 }), "claims"],
  ["an infinite exp", () => raw(JSON.stringify(CLAIMS).replace(/"exp":\d+/, '"exp":1e999')), "claims"],
  ["exp in milliseconds", () => withClaims({ exp: (NOW + 290) * 1_000 }), "claims"],
  ["a negative exp", () => withClaims({ exp: -1 }), "claims"],
  ["exp before iat", () => withClaims({ exp: NOW - 11 }), "claims"],
  ["a lifetime that is too long", () => withClaims({ iat: NOW, exp: NOW + 3_601 }), "claims"],
  ["a lifetime that is long by an old iat", () => withClaims({ iat: 0 }), "claims"],
  ["no iat", () => without("iat"), "claims"],
  ["iat as text", () => withClaims({ iat: String(NOW) }), "claims"],
  ["iat to come", () => withClaims({ iat: NOW + 31 }), "not-yet"],
  ["nbf to come", () => withClaims({ nbf: NOW + 31 }), "not-yet"],
  ["nbf as text", () => withClaims({ nbf: "0" }), "claims"],
  ["nbf null", () => withClaims({ nbf: null }), "claims"],
  ["sub that is no text", () => withClaims({ sub: { toString: "alice" } }), "claims"],

  ["claims that were changed", async () => swapPart(1, jsonPart({ ...CLAIMS, sub: "admin" })), "signature"],
  [
    "a header that was changed",
    async () => swapPart(0, jsonPart({ alg: "ES256", kid: "key-1" })),
    "signature",
  ],
  [
    "a signature of another token",
    async () => swapPart(2, (await withClaims({ sub: "b" })).split(".")[2] ?? ""),
    "signature",
  ],
  ["no signature", async () => swapPart(2, ""), "malformed"],
  ["a signature cut by a byte", () => withSignature((bytes) => bytes.subarray(0, 63)), "signature"],
  ["a signature cut in half", () => withSignature((bytes) => bytes.subarray(0, 32)), "signature"],
  ["a signature with a byte more", () => withSignature((bytes) => Buffer.from([...bytes, 0])), "signature"],
  ["a signature with a byte before", () => withSignature((bytes) => Buffer.from([0, ...bytes])), "signature"],
  ["a flipped bit", () => withSignature((bytes) => bytes.fill((bytes[5] ?? 0) ^ 1, 5, 6)), "signature"],
  [
    "r and s swapped",
    () => withSignature((bytes) => Buffer.concat([bytes.subarray(32), bytes.subarray(0, 32)])),
    "signature",
  ],
  ["a signature in DER", () => withSignature(toDer), "signature"],
  ["r and s zero", () => withSignature(() => Buffer.concat([zero, zero])), "signature"],
  ["r zero", () => withSignature((bytes) => Buffer.concat([zero, bytes.subarray(32)])), "signature"],
  ["s zero", () => withSignature((bytes) => Buffer.concat([bytes.subarray(0, 32), zero])), "signature"],
  ["r zero, s one", () => withSignature(() => Buffer.concat([zero, one])), "signature"],
  ["r and s the order of the curve", () => withSignature(() => Buffer.concat([ORDER, ORDER])), "signature"],
  ["r the order, s one", () => withSignature(() => Buffer.concat([ORDER, one])), "signature"],
  ["all bits set", () => withSignature(() => Buffer.alloc(64, 255)), "signature"],
  ["bits left over in the signature", leftOverBits, "malformed"],

  ["a part more", async () => `${await issuer.sign(CLAIMS)}.AAAA`, "malformed"],
  ["an empty part more", async () => `${await issuer.sign(CLAIMS)}.`, "malformed"],
  ["an empty part before", async () => `.${await issuer.sign(CLAIMS)}`, "malformed"],
  ["five parts, as a JWE", () => `${jsonPart({ alg: "dir", enc: "A256GCM" })}..AAAA.AAAA.AAAA`, "malformed"],
  [
    "five full parts, as a JWE",
    () => `${jsonPart({ alg: "ECDH-ES", enc: "A256GCM" })}.AAAA.AAAA.AAAA.AAAA`,
    "malformed",
  ],
  ["padding", async () => `${await issuer.sign(CLAIMS)}==`, "malformed"],
  ["base64 instead of base64url", async () => (await issuer.sign(CLAIMS)).replace(/.$/, "+"), "malformed"],
  ["a space before", async () => ` ${await issuer.sign(CLAIMS)}`, "malformed"],
  ["a newline behind", async () => `${await issuer.sign(CLAIMS)}\n`, "malformed"],
  ["a newline inside", async () => (await issuer.sign(CLAIMS)).replace(".", "\n."), "malformed"],
  ["a zero byte behind", async () => `${await issuer.sign(CLAIMS)}\0`, "malformed"],
  ["a full stop that is none", async () => (await issuer.sign(CLAIMS)).replaceAll(".", "．"), "malformed"],
  [
    "two tokens joined by a comma",
    async () => `${await issuer.sign(CLAIMS)},${await issuer.sign(CLAIMS)}`,
    "malformed",
  ],
  [
    "two tokens joined by a space",
    async () => `${await issuer.sign(CLAIMS)} ${await issuer.sign(CLAIMS)}`,
    "malformed",
  ],
  ["Bearer before", async () => `Bearer ${await issuer.sign(CLAIMS)}`, "malformed"],
  ["the JSON form", async () => jsonForm(await issuer.sign(CLAIMS)), "malformed"],
  ["nothing", () => "", "malformed"],
  ["dots", () => "..", "malformed"],
  ["a token that is too long", () => withClaims({ filling: "x".repeat(JWT_LENGTH_MAX) }), "malformed"],

  ["a duplicate claim", () => raw(JSON.stringify(CLAIMS).replace("{", '{"sub":"admin",')), "malformed"],
  [
    "a duplicate claim, escaped",
    () => raw(JSON.stringify(CLAIMS).replace("{", '{"\\u0073ub":"admin",')),
    "malformed",
  ],
  [
    "a duplicate claim in other case",
    () => raw(JSON.stringify(CLAIMS).replace("{", '{"SUB":"admin",')),
    "malformed",
  ],
  ["a duplicate alg", () => rawHeader('{"alg":"none","alg":"ES256","kid":"key-1"}'), "malformed"],
  ["a duplicate kid", () => rawHeader('{"alg":"ES256","kid":"key-1","kid":"key-1"}'), "malformed"],
  ["a header that is a list", () => rawHeader('["ES256"]'), "malformed"],
  ["a header that is no JSON", () => rawHeader("ES256"), "malformed"],
  ["a header with a byte order mark", () => rawHeader('\uFEFF{"alg":"ES256"}'), "malformed"],
  ["claims that are a list", () => raw(JSON.stringify([CLAIMS])), "malformed"],
  ["claims that are null", () => raw("null"), "malformed"],
  ["claims that are text", () => raw(JSON.stringify("claims")), "malformed"],
  ["claims with bytes behind", () => raw(`${JSON.stringify(CLAIMS)}x`), "malformed"],
  [
    "claims by the prototype",
    () => raw(JSON.stringify({ x: 1 }).replace('"x":1', `"__proto__":${JSON.stringify(CLAIMS)}`)),
    "issuer",
  ],
  ["claims nested too deep", () => raw(`{"a":${"[".repeat(5_000)}${"]".repeat(5_000)}}`), "malformed"],
  [
    "claims that are not UTF-8",
    () => issuer.signParts(jsonPart(issuer.header), base64url(new Uint8Array([0x7b, 0xff, 0x7d]))),
    "malformed",
  ],
  [
    "a nested token",
    async () =>
      issuer.signParts(jsonPart({ ...issuer.header, cty: "JWT" }), base64url(await issuer.sign(CLAIMS))),
    "malformed",
  ],
];

async function swapPart(at: number, text: string): Promise<string> {
  const parts = (await issuer.sign(CLAIMS)).split(".");
  parts[at] = text;
  return parts.join(".");
}

/** The last character of 64 bytes carries four bits that mean nothing; most decoders drop them. */
async function leftOverBits(): Promise<string> {
  const token = await issuer.sign(CLAIMS);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return `${token.slice(0, -1)}${alphabet[alphabet.indexOf(token.at(-1) ?? "") + 1]}`;
}

function jsonForm(token: string): string {
  const [header, payload, signature] = token.split(".");
  return JSON.stringify({ payload, protected: header, signature });
}

for (const [attack, token, reason] of ATTACKS) {
  test(`a token with ${attack} is refused: ${reason}`, async () => {
    expect(await verdict(await token())).toBe(reason);
  });
}

test("the grace gives an expired token back, and says when it ended", async () => {
  const token = await withClaims({ iat: NOW - 300, exp: NOW - 100 });
  expect(await verifyJwt(token, { ...RULES, graceSeconds: 101 })).toMatchObject({
    ok: true,
    claims: { sub: "alice" },
    expiredAt: (NOW - 100) * 1_000,
  });
  expect(await verdict(token, { graceSeconds: 100 })).toBe("expired");
});

test("the grace excuses nothing else", async () => {
  const rules = { graceSeconds: 1_000 };
  const old = { iat: NOW - 300, exp: NOW - 100 };
  expect(await verdict(await attacker.sign({ ...CLAIMS, ...old }), rules)).toBe("signature");
  expect(await verdict(await withClaims({ ...old, aud: "other" }), rules)).toBe("audience");
  expect(await verdict(await withClaims({ ...old, iat: NOW - 4_000 }), rules)).toBe("claims");
});

test("a leeway beyond the longest counts as the longest", async () => {
  const token = await withClaims({ iat: NOW - 300, exp: NOW - 60 });
  expect(await verdict(token, { leewaySeconds: 1_000 })).toBe("expired");
});

test("no more than 64 keys are tried", async () => {
  const keys = [...Array(64).fill(attacker.verificationKey), issuer.verificationKey];
  expect(await verdict(await issuer.sign(CLAIMS), { keyOf: () => keys })).toBe("signature");
});

test("no character of a token can be another, be missing, or be there twice", async () => {
  const token = await issuer.sign(CLAIMS);
  const good: string[] = [];
  for (let at = 0; at < token.length; at++) {
    const [before, character, after] = [token.slice(0, at), token.charAt(at), token.slice(at + 1)];
    const others = [character === "A" ? "B" : "A", "", `${character}${character}`, ".", "-"];
    for (const other of others.filter((one) => one !== character)) {
      if ((await verdict(`${before}${other}${after}`)) === "good") good.push(`${at}: ${other}`);
    }
  }
  expect(good).toEqual([]);
});
