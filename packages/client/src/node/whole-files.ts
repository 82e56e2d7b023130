import { isObject, type JsonObject } from "@stowage/oci/descriptor";
import { MANIFEST_BYTES_MAX } from "@stowage/oci/manifest";
import { quote } from "@stowage/oci/reference";
import { parseStrictJson } from "@stowage/oci/strict-json";
import { ClientError } from "../client-error.ts";
import { fileSize, NewFile, readFile } from "./files.ts";

/** A small JSON file that holds an object; null when there is none. @throws ClientError of kind `invalid` */
export async function readJson(path: string): Promise<JsonObject | null> {
  const size = await fileSize(path);
  if (size === null) return null;
  const json = size > MANIFEST_BYTES_MAX ? null : parseStrictJson(await readWhole(path, size));
  if (json?.ok === true && isObject(json.value)) return json.value;
  throw new ClientError("invalid", `${quote(path)} is no JSON object`);
}

/** The first `size` bytes of a file. */
export async function readWhole(path: string, size: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for await (const piece of readFile(path, 0)) {
    const wanted = piece.subarray(0, size - at);
    bytes.set(wanted, at);
    at += wanted.byteLength;
    // Somebody may go on writing it.
    if (at === size) break;
  }
  return bytes.subarray(0, at);
}

/** Replaces a file at once. */
export async function writeWhole(path: string, content: Uint8Array): Promise<void> {
  await using file = await NewFile.create(path);
  await file.write(content);
  await file.commit();
}
