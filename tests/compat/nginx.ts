import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { program } from "../support/suite.ts";
import { TestCa } from "../support/test-ca.ts";
import { until } from "./support.ts";

export const nginx = program("nginx");

/** An nginx that speaks TLS to clients and plain HTTP to a registry, as people put one in front. */
export class Nginx implements AsyncDisposable {
  readonly host: string;
  /** Certificate of the CA that clients have to trust. */
  readonly caFile: string;
  readonly #ca: TestCa;
  readonly #child: Bun.Subprocess;

  private constructor(host: string, ca: TestCa, child: Bun.Subprocess) {
    this.host = host;
    this.caFile = ca.ca.cert;
    this.#ca = ca;
    this.#child = child;
  }

  /** Starts one and waits until it answers. @throws Error when it ends first */
  static async start(port: number, upstream: string): Promise<Nginx> {
    const ca = await TestCa.make("nginx");
    const extensions = ["subjectAltName=IP:127.0.0.1"];
    const { cert, key } = await ca.sign("server", { subject: "/CN=127.0.0.1", extensions });
    const config = join(ca.folder, "nginx.conf");
    await mkdir(join(ca.folder, "tmp"));
    await Bun.write(config, configuration({ port, upstream, cert, key, folder: ca.folder }));
    const child = Bun.spawn([nginx.path, "-e", join(ca.folder, "error.log"), "-c", config], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: Bun.file(join(ca.folder, "stderr")),
    });
    const started = new Nginx(`127.0.0.1:${port}`, ca, child);
    await until("nginx answers", async () => {
      if (child.exitCode !== null) {
        throw new Error(`nginx ended: ${await Bun.file(join(ca.folder, "error.log")).text()}`);
      }
      return await started.fetch("/livez").then(
        ({ ok }) => ok,
        () => false,
      );
    });
    return started;
  }

  async fetch(path: string): Promise<Response> {
    const ca = await Bun.file(this.caFile).text();
    return await fetch(`https://${this.host}${path}`, { tls: { ca } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.exited;
    await this.#ca[Symbol.asyncDispose]();
  }
}

/** A port of 127.0.0.1 that is free now: nginx cannot choose one itself and tell. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const address = server.address();
  const { promise: closed, resolve: onClosed } = Promise.withResolvers<void>();
  server.close(() => onClosed());
  await closed;
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}

interface Configuration {
  readonly port: number;
  readonly upstream: string;
  readonly cert: string;
  readonly key: string;
  readonly folder: string;
}

function configuration({ port, upstream, cert, key, folder }: Configuration): string {
  return `
daemon off;
worker_processes 1;
pid ${folder}/pid;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/tmp/body;
  proxy_temp_path ${folder}/tmp/proxy;
  fastcgi_temp_path ${folder}/tmp/fastcgi;
  uwsgi_temp_path ${folder}/tmp/uwsgi;
  scgi_temp_path ${folder}/tmp/scgi;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    client_max_body_size 0;
    location / {
      proxy_pass ${upstream};
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
    }
  }
}
`;
}
