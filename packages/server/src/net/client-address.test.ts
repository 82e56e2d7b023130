import { describe, expect, test } from "bun:test";
import { originOf, type Peer, parseCidrs } from "./client-address.ts";

describe("parseCidrs", () => {
  for (const text of [
    "10.0.0.0/8",
    "10.1.2.3/8",
    "192.0.2.1",
    "0.0.0.0/0",
    "::/0",
    "fd00::/8, ::1 ,unix",
    "unix",
    "::ffff:10.0.0.0/104",
  ]) {
    test(`takes "${text}"`, () => expect(parseCidrs(text)).not.toBeNull());
  }
  for (const text of [
    "",
    ",",
    "10.0.0.0/8,",
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "example.test",
    "UNIX",
    "unix/8",
    "::ffff:10.0.0.0/95",
    Array<string>(257).fill("::1").join(","),
  ]) {
    test(`refuses "${text.slice(0, 20)}"`, () => expect(parseCidrs(text)).toBeNull());
  }
});

interface Case {
  readonly name: string;
  readonly trust: string | null;
  readonly peer: string | Peer;
  readonly headers: Readonly<Record<string, string>>;
  readonly wanted: string;
}

const LOCAL = "10.0.0.0/8,fd00::/8,127.0.0.1";
const FOR = "X-Forwarded-For";
const ALL_THREE = { [FOR]: "203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "hub.example" };

const CASES: readonly Case[] = [
  // Whose word counts.
  {
    name: "without trusted proxies",
    trust: null,
    peer: "10.0.0.1",
    headers: ALL_THREE,
    wanted: "10.0.0.1 http r.test",
  },
  {
    name: "a peer that is not trusted",
    trust: LOCAL,
    peer: "11.0.0.1",
    headers: ALL_THREE,
    wanted: "11.0.0.1 http r.test",
  },
  {
    name: "a trusted peer",
    trust: LOCAL,
    peer: "10.0.0.1",
    headers: ALL_THREE,
    wanted: "203.0.113.7 https hub.example",
  },
  {
    name: "a trusted peer on a socket for both families",
    trust: LOCAL,
    peer: "::ffff:10.0.0.1",
    headers: ALL_THREE,
    wanted: "203.0.113.7 https hub.example",
  },
  {
    name: "IPv4 is not in ::/0",
    trust: "::/0",
    peer: "::ffff:10.0.0.1",
    headers: ALL_THREE,
    wanted: "10.0.0.1 http r.test",
  },
  {
    name: "a link-local proxy",
    trust: "fe80::/10",
    peer: "fe80::1%eth0",
    headers: ALL_THREE,
    wanted: "203.0.113.7 https hub.example",
  },
  {
    name: "a Unix socket that is not in the list",
    trust: "0.0.0.0/0,::/0",
    peer: { remoteAddress: null, unix: true },
    headers: ALL_THREE,
    wanted: "null http r.test",
  },
  {
    name: "a Unix socket that is in the list",
    trust: "unix",
    peer: { remoteAddress: null, unix: true },
    headers: ALL_THREE,
    wanted: "203.0.113.7 https hub.example",
  },
  {
    name: "a connection that is gone is no Unix socket",
    trust: "unix",
    peer: { remoteAddress: null },
    headers: ALL_THREE,
    wanted: "null http r.test",
  },
  {
    name: "a trusted peer that says nothing",
    trust: LOCAL,
    peer: "10.0.0.1",
    headers: {},
    wanted: "10.0.0.1 http r.test",
  },

  // The walk.
  ...walk("what the client wrote itself is not believed", "1.1.1.1, 203.0.113.7", "203.0.113.7"),
  ...walk("trusted proxies in between are passed over", "203.0.113.7, 10.9.9.9,10.0.0.2", "203.0.113.7"),
  ...walk("all are trusted: the first", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
  ...walk("a port", "203.0.113.7:49152", "203.0.113.7"),
  ...walk("brackets and a port", "[2001:DB8::1]:443", "2001:db8::1"),
  ...walk("brackets", "[2001:db8::1]", "2001:db8::1"),
  ...walk("IPv6 as it is", "2001:db8::1", "2001:db8::1"),
  ...walk("IPv4 as IPv6", "::ffff:203.0.113.7", "203.0.113.7"),
  ...walk("a trusted proxy written as IPv6", "203.0.113.7, ::ffff:10.0.0.2", "203.0.113.7"),
  ...walk("junk at the end", "203.0.113.7, unknown", "10.0.0.1"),
  ...walk("junk behind a trusted proxy", "203.0.113.7, evil\\n, 10.0.0.2", "10.0.0.1"),
  ...walk("junk that is not reached", "<script>, 203.0.113.7", "203.0.113.7"),
  ...walk("an empty entry", "203.0.113.7,", "10.0.0.1"),
  ...walk("IPv4 in brackets", "[203.0.113.7]", "10.0.0.1"),
  ...walk("a zone", "fe80::1%eth0", "10.0.0.1"),
  ...walk("64 hops", ["203.0.113.7", ...Array<string>(63).fill("10.0.0.2")].join(), "203.0.113.7"),
  ...walk("65 hops", ["203.0.113.7", ...Array<string>(64).fill("10.0.0.2")].join(), "10.0.0.1"),

  // Scheme and host.
  ...said("the first of several", { "X-Forwarded-Proto": "https, http" }, "https r.test"),
  ...said("a scheme in capitals", { "X-Forwarded-Proto": "HTTPS" }, "https r.test"),
  ...said("another scheme", { "X-Forwarded-Proto": "javascript" }, "http r.test"),
  ...said("host and port", { "X-Forwarded-Host": "hub.example:8443, inner" }, "http hub.example:8443"),
  ...said(
    "a host that is an address",
    { "X-Forwarded-Host": "[2001:db8::1]:8443" },
    "http [2001:db8::1]:8443",
  ),
  ...said("a host with an underscore", { "X-Forwarded-Host": "my_hub" }, "http my_hub"),
  ...[
    "hub.example/path",
    'hub.example"',
    "user@hub.example",
    "hub..example",
    "hub.example:",
    "hub.example:65536",
    "hub.example:1:2",
    "[::1",
    "[1.2.3.4]",
    "[zz::]",
    "häb.example",
    ".",
    "",
    "a".repeat(262),
  ].flatMap((host) => said(`the host ${host.slice(0, 20)}`, { "X-Forwarded-Host": host }, "http r.test")),

  // RFC 7239.
  ...forwarded("for=203.0.113.7;proto=https;host=hub.example", "203.0.113.7 https hub.example"),
  ...forwarded('For="[2001:db8::1]:4711"', "2001:db8::1 http r.test"),
  ...forwarded("for=1.1.1.1, for=203.0.113.7;by=10.0.0.2, for=10.0.0.3", "203.0.113.7 http r.test"),
  ...forwarded('for=203.0.113.7 ; host="hub.example:8443";PROTO=HTTPS', "203.0.113.7 https hub.example:8443"),
  ...forwarded('for=203.0.113.7;ext="a\\", for=9.9.9.9;b=\\""', "203.0.113.7 http r.test"),
  ...forwarded("for=_hidden;proto=https", "10.0.0.1 https r.test"),
  ...forwarded("for=203.0.113.7, proto=https", "10.0.0.1 http r.test"),
  ...forwarded("for=203.0.113.7;for=9.9.9.9", "10.0.0.1 http r.test"),
  ...forwarded("for=203.0.113.7;", "10.0.0.1 http r.test"),
  ...forwarded('for="203.0.113.7', "10.0.0.1 http r.test"),
  ...forwarded("garbage", "10.0.0.1 http r.test"),
  ...forwarded("", "10.0.0.1 http r.test"),
  {
    name: "X-Forwarded-For makes Forwarded the client's own words",
    trust: LOCAL,
    peer: "10.0.0.1",
    headers: { [FOR]: "203.0.113.7", Forwarded: "for=9.9.9.9;proto=https;host=evil.example" },
    wanted: "203.0.113.7 http r.test",
  },
];

function walk(name: string, hops: string, client: string): readonly Case[] {
  return [
    { name, trust: LOCAL, peer: "10.0.0.1", headers: { [FOR]: hops }, wanted: `${client} http r.test` },
  ];
}

function said(name: string, headers: Readonly<Record<string, string>>, wanted: string): readonly Case[] {
  return [{ name, trust: LOCAL, peer: "10.0.0.1", headers, wanted: `10.0.0.1 ${wanted}` }];
}

function forwarded(text: string, wanted: string): readonly Case[] {
  const headers = { Forwarded: text };
  return [{ name: `Forwarded: ${text}`, trust: LOCAL, peer: "10.0.0.1", headers, wanted }];
}

for (const { name, trust, peer, headers, wanted } of CASES) {
  test(`originOf: ${name}`, () => {
    const request = new Request("http://r.test/v2/", { headers: { Host: "r.test", ...headers } });
    const connection = typeof peer === "string" ? { remoteAddress: peer } : peer;
    const origin = originOf(request, connection, trust === null ? null : parseCidrs(trust));
    expect(`${origin.address} ${origin.scheme} ${origin.host}`).toBe(wanted);
  });
}

test("originOf sees TLS of its own, and a Host that may not stand in an address is none", () => {
  const request = new Request("https://r.test/v2/", { headers: { Host: 'r.test"><' } });
  const origin = { address: "192.0.2.1", scheme: "https", host: null } as const;
  expect(originOf(request, { remoteAddress: "::ffff:192.0.2.1" }, null)).toEqual(origin);
});

test("originOf: headers that were sent twice are one list, in their order", async () => {
  const trust = parseCidrs("127.0.0.1,10.0.0.0/8");
  const seen: (string | null)[] = [];
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, bun) {
      const peer = { remoteAddress: bun.requestIP(request)?.address ?? null };
      seen.push(originOf(request, peer, trust).address);
      return new Response();
    },
  });
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port ?? 0,
    socket: {
      open: (socket) => {
        socket.write(
          "GET / HTTP/1.1\r\nHost: r.test\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 203.0.113.7\r\n" +
            "X-Forwarded-For: 10.0.0.2\r\nConnection: close\r\n\r\n",
        );
      },
      data: () => undefined,
      close: () => resolve(),
    },
  });
  await closed;
  expect(seen).toEqual(["203.0.113.7"]);
});
