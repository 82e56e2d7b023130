import { RateLimits } from "@stowage/server/http/rate-limits";

/** What limits cost a request: `node bin/bun.mjs run bench/rate-limits.ts`. */

const REQUESTS = 2_000_000;
const REQUEST = { signal: new AbortController().signal };
const wakeAfter = (ms: number, wake: () => void) => {
  const timer = setTimeout(wake, ms);
  return () => clearTimeout(timer);
};

function open(): RateLimits {
  const rate = { count: 2 ** 31, windowMs: 1_000 };
  const rules = { requestsPerAddress: rate, requestsPerAccount: rate, pulls: rate };
  return new RateLimits({ rules, monotonic: () => performance.now(), wakeAfter, seed: 1 });
}

function measure(name: string, run: (limits: RateLimits, at: number) => unknown): void {
  const limits = open();
  for (let at = 0; at < REQUESTS / 4; at++) run(limits, at);
  const from = performance.now();
  for (let at = 0; at < REQUESTS; at++) run(limits, at);
  const microseconds = ((performance.now() - from) * 1_000) / REQUESTS;
  console.log(`${name.padEnd(44)} ${microseconds.toFixed(3)} us`);
}

const ipv4 = Array.from({ length: 1_000 }, (_, at) => `192.0.${at >> 8}.${at & 255}`);
const flood = Array.from({ length: 200_000 }, (_, at) => `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`);
const ipv6 = Array.from({ length: 1_000 }, (_, at) => `2001:db8:0:${at.toString(16)}::1`);
const pick = (list: readonly string[], at: number) => list[at % list.length] ?? "";

measure("one IPv4 address", (limits) => limits.byAddress("192.0.2.1", REQUEST));
measure("1,000 IPv4 addresses", (limits, at) => limits.byAddress(pick(ipv4, at), REQUEST));
measure("1,000 IPv6 addresses", (limits, at) => limits.byAddress(pick(ipv6, at), REQUEST));
measure("200,000 addresses, more than have counters", (limits, at) =>
  limits.byAddress(pick(flood, at), REQUEST),
);
measure("all three limits", (limits, at) => {
  const address = pick(ipv4, at);
  limits.byAddress(address, REQUEST);
  limits.byAccount("alice", REQUEST);
  limits.pull({ account: "alice", address }, REQUEST);
});
