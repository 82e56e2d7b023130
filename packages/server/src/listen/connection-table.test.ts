import { expect, test } from "bun:test";
import { parseKernelAddress, TableReader } from "./connection-table.ts";
import { formatIp } from "../net/ip-address.ts";

const HEADER =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const REST = "00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 20 4 30 10 -1\n";

/** Connections of port 5000, with the table read in pieces into the same memory. */
function countIn(table: string, pieceBytes: number): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const reader = new TableReader(5000, counts);
  const memory = Buffer.alloc(pieceBytes);
  for (let at = 0; at < table.length; at += pieceBytes) {
    reader.add(memory.subarray(0, memory.write(table.slice(at, at + pieceBytes), "latin1")));
  }
  return counts;
}

test("TableReader counts what is up on the port, by address", () => {
  const table = [
    `${HEADER}   0: 00000000:1388 00000000:0000 0A ${REST}`,
    `   1: 0100007F:1388 0500000A:C350 01 ${REST}`,
    `  22: 0100007F:1388 0500000A:C351 01 ${REST}`,
    `3333: 0100007F:1388 0600000A:C351 01 ${REST}`,
    `   4: 0100007F:1388 0500000A:C352 06 ${REST}`,
    `   5: 0500000A:C350 0100007F:1388 01 ${REST}`,
    `   6: 0100007F:1389 0500000A:C351 01 ${REST}`,
  ].join("");
  for (const pieceBytes of [1, 7, 100, 65_536])
    expect([...countIn(table, pieceBytes)]).toEqual([
      ["0500000A", 2],
      ["0600000A", 1],
    ]);
});

test("TableReader takes an IPv6 /64 for one address, and a mapped IPv4 address for itself", () => {
  const local = "00000000000000000000000000000000:1388";
  const table = [
    `   0: ${local} B80D012000000000000000000100007F:0001 01 ${REST}`,
    `   1: ${local} B80D012000000000000000000200007F:0001 01 ${REST}`,
    `   2: ${local} 0000000000000000FFFF00000500000A:0001 01 ${REST}`,
  ].join("");
  expect([...countIn(table, 65_536).values()]).toEqual([2, 1]);
});

test.each([
  ["0100007F", "127.0.0.1"],
  ["0500000A", "10.0.0.5"],
  ["0000000000000000FFFF00000500000A", "10.0.0.5"],
  ["B80D0120000000000000000001000000", "2001:db8::1"],
  ["00", null],
  ["", null],
])("parseKernelAddress %p is %p, on a little-endian processor", (hex, expected) => {
  const ip = parseKernelAddress(hex);
  expect(ip === null ? null : formatIp(ip)).toBe(expected);
});
