import { expect, test } from "bun:test";
import { digestFromHex } from "@stowage/oci/digest";
import { parseRepositoryName } from "@stowage/oci/repository-name";
import { parseTag } from "@stowage/oci/tag";
import type { Pull } from "../metadata/metadata.ts";
import { SqliteMetadata } from "../metadata/sqlite/sqlite-metadata.ts";
import { Pulls } from "./pulls.ts";

const [A, B] = [parseRepositoryName("a"), parseRepositoryName("b")];
const V1 = parseTag("v1");
const DIGEST = digestFromHex("sha256", "0".repeat(64));
if (A === null || B === null || V1 === null || DIGEST === null) throw new Error("no names");
const BY_TAG = { kind: "tag", tag: V1 } as const;
const BY_DIGEST = { kind: "digest", digest: DIGEST } as const;

/** Pulls over a store whose clock is `ahead` of this process, and what was written down. */
function open({ ahead = 0, refuses = () => false }: { ahead?: number; refuses?: () => boolean } = {}) {
  let time = 1_000;
  const metadata = new SqliteMetadata(":memory:", {
    now: () => time + ahead,
    onFatal: (error) => {
      throw error;
    },
  });
  const written: Pull[][] = [];
  const retention = {
    ...metadata.retention,
    recordPulls: async (pulls: readonly Pull[]) => {
      if (refuses()) throw new Error("the disk is full");
      written.push([...pulls]);
    },
  };
  const pulls = new Pulls({ garbage: metadata.garbage, retention }, () => time);
  const tick = () => {
    time += 1;
  };
  return { pulls, written, tick, [Symbol.asyncDispose]: () => metadata[Symbol.asyncDispose]() };
}

test("Pulls notes the last pull of each thing, by the store's clock, and writes it once", async () => {
  await using opened = open({ ahead: 500 });
  const { pulls, written, tick } = opened;
  pulls.pulled(A, BY_TAG, DIGEST);
  tick();
  pulls.pulled(A, BY_DIGEST, DIGEST);
  pulls.resolved(B, BY_TAG);
  pulls.resolved(B, BY_DIGEST);
  await pulls.flush();
  await pulls.flush();
  expect(written).toEqual([
    [
      { repository: A, reference: BY_TAG, at: 1_500 },
      { repository: A, reference: BY_DIGEST, at: 1_501 },
      { repository: B, reference: BY_TAG, at: 1_501 },
    ],
  ]);
});

test("Pulls keeps what could not be written, unless it was pulled again since", async () => {
  let full = true;
  await using opened = open({ refuses: () => full });
  const { pulls, written, tick } = opened;
  pulls.resolved(A, BY_TAG);
  pulls.resolved(B, BY_TAG);
  const flushed = pulls.flush();
  tick();
  pulls.resolved(A, BY_TAG);
  await expect(flushed).rejects.toThrow("the disk is full");
  full = false;
  await pulls.flush();
  expect(written.flat()).toEqual([
    { repository: A, reference: BY_TAG, at: 1_001 },
    { repository: B, reference: BY_TAG, at: 1_000 },
  ]);
});

test("Pulls forgets the oldest of more than 100,000, and writes in batches", async () => {
  await using opened = open();
  const { pulls, written } = opened;
  pulls.pulled(B, BY_TAG, DIGEST);
  for (let at = 0; at < 100_000; at++) {
    const tag = parseTag(`t${at}`);
    if (tag !== null) pulls.resolved(A, { kind: "tag", tag });
  }
  await pulls.flush();
  expect(written.flat()).toHaveLength(100_000);
  expect(written.flat().filter(({ repository }) => repository === B)).toEqual([]);
  expect(Math.max(...written.map((batch) => batch.length))).toBe(250);
});
