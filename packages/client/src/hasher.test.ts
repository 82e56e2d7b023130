import { expect, test } from "bun:test";
import { createHasher } from "./hasher.ts";
import { Sha256 } from "./sha256.ts";

const LENGTHS = [0, 1, 3, 55, 56, 63, 64, 65, 111, 119, 120, 127, 128, 129, 1_000, 4_099];

test("the hash of our own gives what the runtime's gives, for every length around a block, in pieces", () => {
  for (const length of LENGTHS) {
    const bytes = Uint8Array.from({ length }, (_, at) => (at * 31 + 7) & 0xff);
    const own = new Sha256();
    for (let at = 0; at < length; at += 37) own.update(bytes.subarray(at, at + 37));
    expect(own.digest("hex")).toBe(new Bun.CryptoHasher("sha256").update(bytes).digest("hex"));
  }
});

test("createHasher gives a digest with its algorithm", () => {
  const hasher = createHasher("sha256");
  hasher.update(new TextEncoder().encode("abc"));
  expect(String(hasher.digest())).toBe(
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});
