import { expect, test } from "bun:test";
import { ImportMemory } from "./import-memory.ts";

const MIB = 1024 ** 2;

test("ImportMemory refuses what one caller, or all together, keep too much", () => {
  const memory = new ImportMemory();
  const share = (caller: string | null, bytes: number) => {
    const made = memory.share(caller);
    made.take(bytes);
    return made;
  };
  using _alice = share("alice", 128 * MIB);
  expect(() => share("alice", 1)).toThrow("too many archives");
  using _bob = share("bob", 128 * MIB);
  using _anybody = share(null, 128 * MIB);
  {
    using carol = share("carol", 100 * MIB);
    expect(() => carol.take(29 * MIB)).toThrow("too many archives");
  }
  using dave = share("dave", 127 * MIB);
  expect(() => dave.take(2 * MIB)).toThrow("too many archives");
});

test("ImportMemory has what was given back", () => {
  const memory = new ImportMemory();
  for (let round = 0; round < 10; round++) {
    using share = memory.share("alice");
    share.take(128 * MIB);
  }
});
