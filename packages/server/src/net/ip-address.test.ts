import { expect, test } from "bun:test";
import { formatIp, formatPrefix64, parseIp, sharesPrefix } from "./ip-address.ts";

const CASES: readonly (readonly [string, string | null])[] = [
  ["192.0.2.1", "192.0.2.1"],
  ["0.0.0.0", "0.0.0.0"],
  ["255.255.255.255", "255.255.255.255"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:c000:0201", "192.0.2.1"],
  ["::", "::"],
  ["::1", "::1"],
  ["1::", "1::"],
  ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:0db8::0001", "2001:db8::1"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["", null],
  ["1.2.3", null],
  ["1.2.3.4.5", null],
  ["256.1.1.1", null],
  ["010.0.0.1", null],
  ["1.2.3.4 ", null],
  ["0x7f.0.0.1", null],
  ["localhost", null],
  [":", null],
  [":::", null],
  ["1::2::3", null],
  ["1:2:3:4:5:6:7", null],
  ["1:2:3:4:5:6:7:8:9", null],
  ["1:2:3:4:5:6:7::8", null],
  ["12345::", null],
  ["fe80::1%eth0", null],
  ["1.2.3.4::", null],
  ["[::1]", null],
  [`::${"0".repeat(64)}1`, null],
];

for (const [text, canonical] of CASES) {
  test(`parseIp "${text}" is ${canonical}`, () => {
    const ip = parseIp(text);
    expect(ip === null ? null : formatIp(ip)).toBe(canonical);
  });
}

function required(text: string) {
  const ip = parseIp(text);
  if (ip === null) throw new Error(`${text} is no address`);
  return ip;
}

test("sharesPrefix compares to the bit", () => {
  const [a, b] = [required("2001:db8::8000"), required("2001:db8::")];
  expect([0, 64, 112].map((bits) => sharesPrefix(a, b, bits))).toEqual([true, true, true]);
  expect([113, 128].map((bits) => sharesPrefix(a, b, bits))).toEqual([false, false]);
});

test("formatPrefix64 is the same for all of a customer's addresses", () => {
  expect(formatPrefix64(required("2001:db8:1:2:3:4:5:6"))).toBe("2001:db8:1:2::/64");
  expect(formatPrefix64(required("2001:db8:1:2:ffff::"))).toBe("2001:db8:1:2::/64");
  expect(formatPrefix64(required("::ffff:ffff"))).toBe("::/64");
});
