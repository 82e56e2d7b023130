import { isObject, type JsonObject } from "@stowage/oci/descriptor";
import { quote } from "@stowage/oci/reference";
import { parseStrictJson } from "@stowage/oci/strict-json";
import { archiveTooLarge, badArchive } from "./archive-error.ts";
import type { ArchivedFile } from "./archive-contents.ts";

/** What was read of a file: an archive may name the same one any number of times. */
const known = new WeakMap<ArchivedFile, unknown>();

/** @throws ClientError when the file is too large to have been kept, or no JSON that is clear */
export function requireJson(file: ArchivedFile): unknown {
  if (known.has(file)) return known.get(file);
  const json = parseStrictJson(requireBytes(file));
  if (json.ok) {
    known.set(file, json.value);
    return json.value;
  }
  throw badArchive(`${quote(file.path)}: ${json.problem}`);
}

/** @throws ClientError when the file is too large to have been kept */
export function requireBytes(file: ArchivedFile): Uint8Array<ArrayBuffer> {
  if (file.bytes !== null) return file.bytes;
  throw archiveTooLarge(
    `${quote(file.path)} of ${file.size} bytes is too large for what it should be, or no JSON`,
  );
}

export function requireObject(value: unknown, where: string): JsonObject {
  if (isObject(value)) return value;
  throw badArchive(`${where} is not a JSON object`);
}

/** A list of texts; null and nothing are an empty one. */
export function requireTexts(value: unknown, where: string): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw badArchive(`${where} is not a list`);
  return value.map((text: unknown) => {
    if (typeof text === "string") return text;
    throw badArchive(`${where} holds something that is no text`);
  });
}
