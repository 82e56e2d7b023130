import { expect, test } from "bun:test";
import { isLoopbackAddress, isPublicAddress } from "./public-address.ts";

test.each([
  "1.1.1.1",
  "9.255.255.255",
  "11.0.0.0",
  "100.63.255.255",
  "126.255.255.255",
  "172.15.0.1",
  "172.32.0.1",
  "192.167.1.1",
  "223.255.255.255",
  "2606:4700::1111",
  "2a00::1",
])("isPublicAddress: %s is", (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

test.each([
  "0.0.0.0",
  "10.0.0.1",
  "100.64.0.1",
  "127.0.0.1",
  "127.255.255.254",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "198.18.0.1",
  "224.0.0.1",
  "240.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::127.0.0.1",
  "::ffff:127.0.0.1",
  "::ffff:1.1.1.1",
  "64:ff9b::7f00:1",
  "64:ff9b:1::1",
  "100::1",
  "2001::1",
  "2001:db8::1",
  "2002:7f00:1::",
  "3fff::1",
  "fc00::1",
  "fd12:3456::1",
  "fe80::1",
  "fe80::1%eth0",
  "fec0::1",
  "ff02::1",
  "",
  "localhost",
  "127.1",
  "0x7f.0.0.1",
  "01.1.1.1",
])("isPublicAddress: %s is not", (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

test("isLoopbackAddress knows both families", () => {
  expect(["127.0.0.1", "127.8.8.8", "::1"].map(isLoopbackAddress)).toEqual([true, true, true]);
  expect(["128.0.0.1", "::2", "localhost", ""].map(isLoopbackAddress)).toEqual([false, false, false, false]);
});
