import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdir, readlink } from "node:fs/promises";
import { connect } from "node:net";
import type { ClientCertificate } from "@stowage/server/http/exchange";
import { LISTEN_LIMITS } from "@stowage/server/listen/limits";
import { parseClientCertificate } from "@stowage/server/listen/client-certificate";
import { openTlsDoors, type TlsDoors } from "@stowage/server/listen/tls-doors";
import { createLog } from "@stowage/server/observe/log";
import { type CertificateFiles, TestCa } from "../support/test-ca.ts";
import { digestOf } from "../support/content.ts";
import { Served } from "../support/served.ts";
import { program, suite } from "../support/suite.ts";

/** Certificates of clients: who is let in, and who the registry then believes to see. */

suite("client certificates", [program("openssl")], () => {
  let ca: TestCa;
  let otherCa: TestCa;
  let server: CertificateFiles;
  let alice: CertificateFiles;
  let bob: CertificateFiles;
  beforeAll(async () => {
    ca = await TestCa.make("test CA");
    otherCa = await TestCa.make("test CA");
    server = await ca.sign("server", {
      subject: "/CN=localhost",
      extensions: ["subjectAltName=DNS:localhost,IP:127.0.0.1"],
    });
    alice = await ca.sign("alice", {
      subject: "/O=acme/OU=team-a/OU=team-b/CN=alice",
      extensions: ["subjectAltName=DNS:ci.example,URI:spiffe://acme/ci,email:alice@example.org,IP:10.0.0.1"],
    });
    bob = await ca.sign("bob", { subject: "/CN=bob" });
  });
  afterAll(async () => {
    await ca[Symbol.asyncDispose]();
    await otherCa[Symbol.asyncDispose]();
  });

  const tlsArgs = () => ["--tls-cert", server.cert, "--tls-key", server.key, "--tls-client-ca", ca.ca.cert];

  async function clientTls(files: CertificateFiles | null) {
    const trusted = { ca: await Bun.file(ca.ca.cert).text() };
    if (files === null) return trusted;
    return { ...trusted, cert: await Bun.file(files.cert).text(), key: await Bun.file(files.key).text() };
  }

  /** A door whose app answers with the certificate that it sees. */
  async function openMirror(require = false): Promise<TlsDoors & AsyncDisposable> {
    const doors = await openTlsDoors({
      app: async (_, { clientCertificate, remoteAddress, isSecure }) =>
        Response.json({ clientCertificate, remoteAddress, isSecure }),
      limits: LISTEN_LIMITS,
      hostname: "127.0.0.1",
      port: 0,
      log: createLog({ level: "error", format: "json", write: () => undefined, now: Date.now }),
      tls: {
        certFile: server.cert,
        keyFile: server.key,
        clientCaFile: ca.ca.cert,
        requireClientCertificate: require,
      },
      pollMs: 60_000,
      isOver: () => false,
      now: Date.now,
    });
    return { ...doors, [Symbol.asyncDispose]: () => doors.cut() };
  }

  async function seenBy(port: number, files: CertificateFiles | null): Promise<ClientCertificate | null> {
    // A connection of its own: the certificate belongs to the connection.
    const response = await fetch(`https://127.0.0.1:${port}/`, {
      tls: await clientTls(files),
      keepalive: false,
    });
    const body: { readonly clientCertificate: ClientCertificate | null } = JSON.parse(await response.text());
    return body.clientCertificate;
  }

  test("the app sees the certificate's names, and the client's address", async () => {
    await using doors = await openMirror();
    const der = Buffer.from((await Bun.file(alice.cert).text()).split("-----")[2] ?? "", "base64");
    const seen = await seenBy(doors.port, alice);
    expect(seen).toEqual({
      commonName: "alice",
      names: ["dns:ci.example", "uri:spiffe://acme/ci", "email:alice@example.org"],
      organizationalUnits: ["team-a", "team-b"],
      fingerprint: new Bun.CryptoHasher("sha256").update(der).digest("hex"),
      notAfter: expect.any(Number),
    });
    expect(Math.abs((seen?.notAfter ?? 0) - Date.now() - 86_400_000)).toBeLessThan(600_000);
    const response = await fetch(`https://127.0.0.1:${doors.port}/`, { tls: await clientTls(alice) });
    expect(await response.json()).toMatchObject({
      remoteAddress: "127.0.0.1",
      isSecure: true,
    });
  });

  test("connections side by side, kept open, are never taken for each other", async () => {
    await using doors = await openMirror();
    const who = [alice, bob, null, alice, bob, null];
    const asked = who.flatMap((files) => Array.from({ length: 20 }, () => files));
    const seen = await Promise.all(asked.map((files) => seenBy(doors.port, files)));
    const expected = asked.map((files) => (files === alice ? "alice" : files === bob ? "bob" : undefined));
    expect(seen.map((certificate) => certificate?.commonName)).toEqual(expected as (string | undefined)[]);
  });

  test.each([
    ["without a certificate", null, true],
    ["with one of the CA", "good", true],
    ["with one of another CA of the same name", "foreign", false],
    ["with an expired one", "expired", false],
    ["with one for servers", "server", false],
    ["with one that it signed itself", "self", false],
  ])("a client %s", async (_, kind, isLetIn) => {
    await using doors = await openMirror();
    const files = kind === null ? null : await certificateOf(kind);
    const seen = await seenBy(doors.port, files).then(
      (certificate) => ({ certificate }),
      () => null,
    );
    expect(seen !== null).toBe(isLetIn);
    expect(seen?.certificate?.commonName).toBe(kind === "good" ? "alice" : undefined);
  });

  async function certificateOf(kind: string): Promise<CertificateFiles> {
    switch (kind) {
      case "foreign":
        return await otherCa.sign("foreign", { subject: "/CN=alice" });
      case "expired":
        return await ca.sign("expired", { subject: "/CN=alice", days: -1 });
      case "server":
        return await ca.sign("server-only", {
          subject: "/CN=alice",
          extensions: ["extendedKeyUsage=serverAuth"],
        });
      case "self":
        return otherCa.ca;
      default:
        return alice;
    }
  }

  test("with --tls-client-auth require nobody comes in without a certificate", async () => {
    await using doors = await openMirror(true);
    expect(seenBy(doors.port, null)).rejects.toThrow();
    expect((await seenBy(doors.port, alice))?.commonName).toBe("alice");
    expect(seenBy(doors.port, await certificateOf("foreign"))).rejects.toThrow();
  });

  test("a resumed session is the same client", async () => {
    await using doors = await openMirror();
    const session = `${ca.folder}/session`;
    const ask = async (args: readonly string[]) => {
      const child = Bun.spawn(
        [program("openssl").path, "s_client", "-quiet", "-connect", `127.0.0.1:${doors.port}`, ...args],
        { stdin: "pipe", stdout: "pipe", stderr: "ignore" },
      );
      void child.stdin.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      void child.stdin.flush();
      return await new Response(child.stdout).text();
    };
    const files = ["-cert", alice.cert, "-key", alice.key];
    for (const version of ["-tls1_2", "-tls1_3"]) {
      expect(await ask([version, ...files, "-sess_out", session])).toContain('"commonName":"alice"');
      expect(await ask([version, "-sess_in", session])).toContain('"commonName":"alice"');
    }
  });

  test("a file with more CAs than a handshake can name is refused, and says how many are wanted", async () => {
    const file = `${ca.folder}/many.pem`;
    await Bun.write(file, (await Bun.file(ca.ca.cert).text()).repeat(501));
    const args = ["--tls-cert", server.cert, "--tls-key", server.key, "--tls-client-ca", file];
    expect(Served.start(args)).rejects.toThrow("which has 501 certificates; wanted at most 500");
  });

  test("the inner server answers nobody but the door, and no header makes a certificate", async () => {
    await using doors = await openMirror();
    const before = await listeningPorts();
    await using second = await openMirror();
    const inner = (await listeningPorts()).filter((port) => !before.includes(port) && port !== second.port);
    expect(inner).toHaveLength(1);
    const socket = connect(inner[0] ?? 0, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let received = "";
    for await (const piece of socket) received += String(piece);
    expect(received).toStartWith("HTTP/1.1 403");
    const headers = {
      "X-Client-Cert": "alice",
      "X-Forwarded-Client-Cert": "Subject=alice",
      "Ssl-Client-Verify": "SUCCESS",
    };
    const response = await fetch(`https://127.0.0.1:${doors.port}/`, { tls: await clientTls(null), headers });
    expect(await response.json()).toMatchObject({ clientCertificate: null });
  });

  /** Ports of loopback on which this process listens: others may open theirs meanwhile. */
  async function listeningPorts(): Promise<readonly number[]> {
    const open = await Promise.all(
      (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")),
    );
    const table = await Bun.file("/proc/self/net/tcp").text();
    // "sl: local_address:port remote_address:port 0A (listening) ... inode"
    const lines = table.matchAll(/^ *\d+: 0100007F:([0-9A-F]{4}) \S+ 0A(?: +\S+){5} +(\d+)/gm);
    return [...lines]
      .filter(([, , inode]) => open.includes(`socket:[${inode}]`))
      .map(([, port = ""]) => Number.parseInt(port, 16));
  }

  test("large blobs pass whole in both directions, also past a slow reader", async () => {
    await using served = await Served.start(tlsArgs());
    const tls = await clientTls(alice);
    const bytes = new Uint8Array(48 * 1024 * 1024);
    for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
    const digest = digestOf(bytes);
    const pushed = await fetch(`${served.url}/v2/t/r/blobs/uploads/?digest=${digest}`, {
      method: "POST",
      body: bytes,
      tls,
    });
    expect(pushed.status).toBe(201);
    const response = await fetch(`${served.url}/v2/t/r/blobs/${digest}`, {
      tls,
      headers: { Connection: "close" },
    });
    const hasher = new Bun.CryptoHasher("sha256");
    let pieces = 0;
    for await (const piece of response.body ?? []) {
      hasher.update(piece);
      pieces += 1;
      if (pieces % 50 === 0) await Bun.sleep(20);
    }
    expect(`sha256:${hasher.digest("hex")}`).toBe(digest);
    expect(response.headers.get("Strict-Transport-Security")).toBe("max-age=31536000");
  });

  test.each([false, true])(
    "an orderly end (or a reload: %p) lets a slow reader have all of its answer",
    async (isReload) => {
      const caFile = `${ca.folder}/drained-${isReload}.pem`;
      await Bun.write(caFile, await Bun.file(ca.ca.cert).text());
      const args = ["--tls-cert", server.cert, "--tls-key", server.key, "--tls-client-ca", caFile];
      await using served = await Served.start([...args, "--drain-seconds", "20"]);
      const tls = await clientTls(alice);
      const bytes = new Uint8Array(24 * 1024 * 1024).fill(7);
      const digest = digestOf(bytes);
      const push = `${served.url}/v2/t/r/blobs/uploads/?digest=${digest}`;
      expect((await fetch(push, { method: "POST", body: bytes, tls })).status).toBe(201);
      const response = await fetch(`${served.url}/v2/t/r/blobs/${digest}`, { tls });
      if (isReload) {
        await Bun.write(caFile, await Bun.file(otherCa.ca.cert).text());
        served.server.reload();
        await served.logged("the TLS certificate was replaced");
      } else {
        served.server.stop();
      }
      let received = 0;
      for await (const piece of response.body ?? []) {
        received += piece.byteLength;
        await Bun.sleep(1);
      }
      expect(received).toBe(bytes.byteLength);
    },
  );

  test("a removed CA is not trusted after the reload, also on connections that are kept", async () => {
    const caFile = `${ca.folder}/clients.pem`;
    await Bun.write(caFile, await Bun.file(ca.ca.cert).text());
    const args = [
      "--tls-cert",
      server.cert,
      "--tls-key",
      server.key,
      "--tls-client-ca",
      caFile,
      "--tls-client-auth",
      "require",
    ];
    await using served = await Served.start(args);
    const tls = await clientTls(alice);
    expect((await fetch(`${served.url}/v2/`, { tls })).status).toBe(200);
    await Bun.write(caFile, await Bun.file(otherCa.ca.cert).text());
    served.server.reload();
    await served.logged("the TLS certificate was replaced");
    const last = await fetch(`${served.url}/v2/`, { tls }).catch(() => null);
    expect(last?.headers.get("Connection") ?? "close").toBe("close");
    expect(fetch(`${served.url}/v2/`, { tls })).rejects.toThrow();
  });

  test("parseClientCertificate takes names for what they are: commas, slashes and control characters", async () => {
    const odd = await ca.sign("odd", {
      subject: "/CN=first/CN=a, DNS:admin.example/OU=x\\/y/OU=\u00e4",
      extensions: [
        "subjectAltName=@names",
        "[names]",
        "URI.1=http://x/, DNS:admin.example",
        "DNS.1=a.example",
        "email.1=a\u0001b@example.org",
      ],
    });
    const der = Buffer.from((await Bun.file(odd.cert).text()).split("-----")[2] ?? "", "base64");
    expect(parseClientCertificate(der)).toMatchObject({
      commonName: "a, DNS:admin.example",
      names: ["uri:http://x/, DNS:admin.example", "dns:a.example"],
      organizationalUnits: ["x/y", "\u00e4"],
    });
    const at = der.indexOf("a.example");
    const withNul = Buffer.from(der);
    withNul[at + 1] = 0;
    expect(parseClientCertificate(withNul)?.names).toEqual(["uri:http://x/, DNS:admin.example"]);
    for (let length = 0; length < der.length; length++) {
      expect(parseClientCertificate(der.subarray(0, length))).toBeNull();
    }
  });
});
