import { expect, test } from "bun:test";
import { unpackLayer } from "./layer-bytes.ts";

const BLOCK_BYTES_MAX = 128 * 1024;

/** A file of zstd that is all repeated blocks: four bytes become 128 KiB (RFC 8878 section 3.1.1.2). */
function zstdBomb(blocks: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(6 + blocks * 4);
  // Magic number, a frame that says no size, and a window of 2 MiB.
  bytes.set([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]);
  for (let block = 0; block < blocks; block++) {
    const isLast = block === blocks - 1 ? 1 : 0;
    const header = isLast | (1 << 1) | (BLOCK_BYTES_MAX << 3);
    bytes.set([header & 255, (header >> 8) & 255, header >> 16, 0x41], 6 + block * 4);
  }
  return bytes;
}

/** How much came of it, in pieces of what length, and what ended it. */
async function unpacked(packed: Uint8Array<ArrayBuffer>) {
  let [bytes, longest] = [0, 0];
  async function* all() {
    yield packed;
  }
  try {
    for await (const piece of unpackLayer(all())) {
      bytes += piece.byteLength;
      longest = Math.max(longest, piece.byteLength);
    }
  } catch (error) {
    return { bytes, longest, failure: String(error) };
  }
  return { bytes, longest, failure: null };
}

test("a layer of zstd that is all one letter is unpacked as far as layers go", async () => {
  expect(await unpacked(zstdBomb(100))).toMatchObject({ bytes: 100 * BLOCK_BYTES_MAX, failure: null });
});

test("a layer of zstd that comes at once, and unpacks to gigabytes, is refused and never in memory as a whole", async () => {
  const { bytes, longest, failure } = await unpacked(zstdBomb(65_536));
  expect(failure).toContain("it unpacks to more than 2000 times its size");
  expect(bytes).toBeLessThanOrEqual(1024 ** 3);
  expect(longest).toBeLessThanOrEqual(4 * 1024 ** 2);
});
