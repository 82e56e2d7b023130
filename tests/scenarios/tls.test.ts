import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFile, unlink } from "node:fs/promises";
import { connect } from "node:tls";
import { join } from "node:path";
import { blobOf } from "../support/content.ts";
import { type CertificateFiles, TestCa } from "../support/test-ca.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { Served } from "../support/served.ts";
import { program, suite } from "../support/suite.ts";

/** Certificates of the server: what is served, what replaces it, and what does not. */

const REPLACED = "the TLS certificate was replaced";
const KEPT = "the certificate from before stays in use";

suite("TLS", [program("openssl")], () => {
  let ca: TestCa;
  let first: CertificateFiles;
  let second: CertificateFiles;
  beforeAll(async () => {
    ca = await TestCa.make("test CA");
    const extensions = ["subjectAltName=DNS:localhost,IP:127.0.0.1"];
    first = await ca.sign("first", { subject: "/CN=first", extensions });
    second = await ca.sign("second", { subject: "/CN=second", extensions });
  });
  afterAll(async () => {
    await ca[Symbol.asyncDispose]();
  });

  /** Files of a running server, which tests write over. */
  async function inUse(name: string): Promise<CertificateFiles> {
    const files = { cert: join(ca.folder, `${name}-used.pem`), key: join(ca.folder, `${name}-used.key`) };
    await replace(files, first);
    return files;
  }

  async function replace(files: CertificateFiles, by: CertificateFiles): Promise<void> {
    await copyFile(by.cert, files.cert);
    await copyFile(by.key, files.key);
  }

  const start = (files: CertificateFiles) => Served.start(["--tls-cert", files.cert, "--tls-key", files.key]);

  /** Common name of the certificate that a new connection gets. */
  async function shownBy(port: number): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on("error", reject);
    return await promise;
  }

  test("every answer over TLS tells browsers to stay with it, and none without TLS", async () => {
    await using served = await start(await inUse("hsts"));
    const tls = { ca: await Bun.file(ca.ca.cert).text() };
    for (const path of ["/v2/", "/livez", "/nowhere"]) {
      const response = await fetch(`${served.url}${path}`, { tls });
      expect(response.headers.get("Strict-Transport-Security")).toBe("max-age=31536000");
    }
    await using plain = await Served.start([]);
    expect((await fetch(`${plain.url}/v2/`)).headers.has("Strict-Transport-Security")).toBe(false);
  });

  test.each([
    ["-tls1", false],
    ["-tls1_1", false],
    ["-tls1_2", true],
    ["-tls1_3", true],
  ])("a client that speaks %s only is let in: %p", async (version, expected) => {
    await using served = await start(await inUse(`version${version}`));
    const args = [
      "s_client",
      version,
      "-cipher",
      "DEFAULT@SECLEVEL=0",
      "-connect",
      `127.0.0.1:${served.port}`,
    ];
    const child = Bun.spawn([program("openssl").path, ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    });
    expect((await new Response(child.stdout).text()).includes("BEGIN CERTIFICATE")).toBe(expected);
  });

  test("a new pair is used for new connections, a download and an upload go on", async () => {
    const files = await inUse("reload");
    await using served = await start(files);
    const tls = { ca: await Bun.file(ca.ca.cert).text() };
    const blob = blobOf(new Uint8Array(32 * 1024 * 1024).fill(7));
    const push = `${served.url}/v2/t/r/blobs/uploads/?digest=${blob.digest}`;
    await fetch(push, { method: "POST", body: blob.bytes, tls });
    const download = await fetch(`${served.url}/v2/t/r/blobs/${blob.digest}`, { tls });
    const reader = download.body?.getReader();
    let bytes = (await reader?.read())?.value?.byteLength ?? 0;
    const opened = await fetch(`${served.url}/v2/t/r/blobs/uploads/`, { method: "POST", tls });
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const location = `${served.url}${opened.headers.get("Location")}`;
    const upload = fetch(location, { method: "PATCH", body: readable, tls });
    await writer.write(new TextEncoder().encode("hello "));

    expect(await shownBy(served.port)).toBe("first");
    await replace(files, second);
    served.server.reload();
    await served.logged(REPLACED);
    for (let attempt = 0; attempt < 20; attempt++) expect(await shownBy(served.port)).toBe("second");

    await writer.write(new TextEncoder().encode("world"));
    await writer.close();
    expect((await upload).status).toBe(202);
    expect((await fetch(location, { tls })).headers.get("Range")).toBe("0-10");
    for (let piece = await reader?.read(); piece?.done === false; piece = await reader?.read()) {
      bytes += piece.value.byteLength;
    }
    expect(bytes).toBe(blob.bytes.byteLength);
  });

  test("a pair that does not fit, is damaged or gone is named in the log, and the old one stays", async () => {
    const files = await inUse("bad");
    await using served = await start(files);
    const steps: readonly (readonly [() => Promise<unknown>, RegExp])[] = [
      [() => copyFile(second.cert, files.cert), /do not belong together/],
      [() => Bun.write(files.cert, "no certificate"), /has no PEM block/],
      [
        () => Bun.write(files.cert, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
        /is damaged/,
      ],
      [() => unlink(files.key), /which cannot be read/],
    ];
    for (const [index, [damage, reason]] of steps.entries()) {
      await damage();
      served.server.reload();
      await served.logged(KEPT, index + 1);
      expect(served.log.trim().split("\n").at(-1)).toMatch(reason);
      expect(await shownBy(served.port)).toBe("first");
    }
    await replace(files, second);
    served.server.reload();
    await served.logged(REPLACED);
    expect(await shownBy(served.port)).toBe("second");
  });

  test("SIGHUP replaces the certificate of a process, and does not end it", async () => {
    const files = await inUse("hangup");
    await using registry = await RegistryProcess.start({
      args: ["--tls-cert", files.cert, "--tls-key", files.key],
    });
    await replace(files, second);
    process.kill(registry.pid, "SIGHUP");
    for (let attempt = 0; attempt < 200 && !registry.log.includes(REPLACED); attempt++) await Bun.sleep(20);
    expect(await shownBy(Number(new URL(registry.url).port))).toBe("second");
  });

  test("a second server does not share the port of one with TLS", async () => {
    const files = await inUse("twice");
    await using served = await start(files);
    const again = Served.start([
      ...["--addr", `127.0.0.1:${served.port}`],
      ...["--tls-cert", files.cert, "--tls-key", files.key],
    ]);
    expect(again).rejects.toThrow("is it in use?");
  });
});
