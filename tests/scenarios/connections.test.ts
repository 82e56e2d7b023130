import { expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { LISTEN_LIMITS } from "@stowage/server/listen/limits";
import { suite } from "../support/suite.ts";
import { Served } from "../support/served.ts";

/** The machine's own address on a network: connections from there are not loopback's. */
const ownAddress = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

const LIMITS = { ...LISTEN_LIMITS, censusMs: 100 };

const TOO_MANY = "too many connections: refused until they are fewer";

async function openConnections(host: string, port: number, count: number): Promise<readonly Socket[]> {
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect(port, host);
      socket.on("error", () => undefined);
      await new Promise((resolve) => socket.once("connect", resolve));
      return socket;
    }),
  );
}

const needs = [
  { what: "a network besides loopback", isMet: ownAddress !== undefined },
  { what: "Linux's table of connections", isMet: process.platform === "linux" },
];

suite("connections of one address", needs, () => {
  const host = ownAddress ?? "";

  test("over the limit requests are refused until the connections are fewer; others are served", async () => {
    await using served = await Served.start(
      [...["--addr", "0.0.0.0:0", "--auth", "none", "--connections-per-address", "10"]],
      { limits: LIMITS },
    );
    const url = `http://${host}:${served.port}/v2/`;
    expect((await fetch(url)).status).toBe(200);
    const sockets = await openConnections(host, served.port, 20);
    await served.logged(TOO_MANY);
    const refused = await fetch(url);
    expect([refused.status, refused.headers.get("Retry-After")]).toEqual([429, "10"]);
    expect(await refused.json()).toMatchObject({ errors: [{ code: "TOOMANYREQUESTS" }] });
    expect((await fetch(`http://127.0.0.1:${served.port}/v2/`)).status).toBe(200);
    for (const socket of sockets) socket.destroy();
    let status = 0;
    for (let attempt = 0; attempt < 100 && status !== 200; attempt++) {
      await Bun.sleep(50);
      status = (await fetch(url)).status;
    }
    expect(status).toBe(200);
  });

  test("a trusted proxy and loopback speak for many: they have no limit", async () => {
    await using served = await Served.start(
      [
        ...[
          "--addr",
          "0.0.0.0:0",
          "--auth",
          "none",
          "--connections-per-address",
          "1",
          "--trusted-proxies",
          host,
        ],
      ],
      { limits: LIMITS },
    );
    const sockets = await openConnections(host, served.port, 5);
    const more = await openConnections("127.0.0.1", served.port, 5);
    await Bun.sleep(500);
    expect(served.log).not.toContain(TOO_MANY);
    for (const socket of [...sockets, ...more]) socket.destroy();
  });
});
