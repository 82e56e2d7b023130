import { blobOf, imageOf, seededBytes, type TestImage } from "../support/content.ts";
import { Random as Numbers } from "../support/random.ts";
import type { Client } from "./support.ts";

/** Another one each time, so that the short loops add up over many runs; set it to run one again. */
export const SEED = Number(process.env.STOWAGE_SEED ?? Date.now() % 1_000_000);

/** Numbers and content that are the same for the same seed. */
export class Random {
  readonly #numbers: Numbers;

  constructor(seed: number) {
    this.#numbers = new Numbers(seed);
  }

  /** An integer from `from` up to and including `to`. */
  between(from: number, to: number): number {
    return from + this.#numbers.below(to - from + 1);
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    return seededBytes(length, this.between(1, 0x7fffffff));
  }

  /** An image with one to three layers that nobody else has. */
  image(layerBytesMax: number): TestImage {
    const layers = Array.from({ length: this.between(1, 3) }, () =>
      blobOf(this.bytes(this.between(1, layerBytesMax))),
    );
    return imageOf(layers);
  }
}

/** Pushes, deletes and leaves uploads open until the server does not answer, or says no. */
export async function pushUntilRefused(client: Client, random: Random, layerBytesMax: number): Promise<void> {
  const moving = `moving-${random.between(0, 0x7fffffff)}`;
  for (let at = 0; ; at++) {
    const image = random.image(layerBytesMax);
    const tag = `v${at}-${random.between(0, 0x7fffffff)}`;
    if (!(await client.pushImage(image, tag))) return;
    if ((await client.putManifest(image, moving))?.status !== 201) return;
    if (at % 3 === 0) {
      const session = await client.startUpload();
      if (session === null || (await client.patch(session, random.bytes(70_000)))?.status !== 202) return;
    }
    if (at % 4 === 0) {
      const doomed = random.image(2_000);
      if (!(await client.pushImage(doomed, `${tag}-doomed`))) return;
      if ((await client.deleteManifest(doomed, `${tag}-doomed`))?.status !== 202) return;
    }
  }
}
