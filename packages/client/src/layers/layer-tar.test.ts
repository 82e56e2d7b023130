import { expect, test } from "bun:test";
import { ClientError } from "../client-error.ts";
import { EMPTY_HEADER, formatLayerHeader } from "./layer-header-writer.ts";
import { readLayer } from "./layer-tar.ts";

/** A header of all entries with `text`, and its bytes. */
function globalHeader(text: string): readonly Uint8Array[] {
  const bytes = new TextEncoder().encode(text);
  const header = formatLayerHeader({ ...EMPTY_HEADER, name: "pax", size: bytes.byteLength });
  header[156] = "g".charCodeAt(0);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return [header, bytes, new Uint8Array((512 - (bytes.byteLength % 512)) % 512)];
}

function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const digits = String(rest.length + String(rest.length).length).length;
  return `${rest.length + digits}${rest}`;
}

/** Names in a layer that begins with the headers and has one file. */
async function namesOf(headers: readonly (readonly Uint8Array[])[]): Promise<readonly string[]> {
  const file = formatLayerHeader({ ...EMPTY_HEADER, name: "file", size: 0 });
  const bytes = new Uint8Array(Buffer.concat([...headers.flat(), file, new Uint8Array(1024)]));
  const names: string[] = [];
  for await (const { name } of readLayer(new Blob([bytes]).stream())) names.push(name);
  return names;
}

test("what a layer says of all its entries holds where it is short", async () => {
  expect(await namesOf([globalHeader(record("comment", "a".repeat(40)))])).toEqual(["file"]);
});

test.each([
  ["of many records", [Array.from({ length: 101 }, (_, at) => record(`a${at}`, "x")).join("")]],
  ["of long records", [record("SCHILY.xattr.user.a", "x".repeat(20_000))]],
  ["in many pieces", Array.from({ length: 102 }, (_, at) => record(`a${at}`, "x"))],
  ["again and again", Array.from({ length: 1_001 }, () => record("comment", "x"))],
])("what a layer says of all its entries is refused %s: each of them would have it", async (_, texts) => {
  const failure: unknown = await namesOf(texts.map(globalHeader)).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ClientError);
  expect(String(failure)).toContain("it describes all entries");
});
