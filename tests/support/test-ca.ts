import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { program } from "./suite.ts";

/** Files of a certificate and its key. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateParts {
  /** As OpenSSL writes it: `/CN=alice/OU=team`. */
  readonly subject: string;
  /** Lines of an OpenSSL extension section. */
  readonly extensions?: readonly string[];
  /** Days from now; negative for one that has expired. */
  readonly days?: number;
}

const EC_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** A folder with a CA of its own and the certificates that it signs, made with openssl. */
export class TestCa implements AsyncDisposable {
  readonly folder: string;
  readonly ca: CertificateFiles;

  private constructor(folder: string) {
    this.folder = folder;
    this.ca = { cert: join(folder, "ca.pem"), key: join(folder, "ca.key") };
  }

  static async make(name: string): Promise<TestCa> {
    const made = new TestCa(await mkdtemp(join(tmpdir(), "stowage-ca-")));
    const out = ["-keyout", made.ca.key, "-out", made.ca.cert];
    await openssl(["req", "-x509", ...EC_KEY, "-days", "2", "-subj", `/CN=${name}`, "-utf8", ...out]);
    return made;
  }

  /** A certificate of this CA in files of this name. */
  async sign(
    name: string,
    { subject, extensions = [], days = 1 }: CertificateParts,
  ): Promise<CertificateFiles> {
    const path = (suffix: string) => join(this.folder, `${name}.${suffix}`);
    const files = { cert: path("pem"), key: path("key") };
    const out = ["-keyout", files.key, "-out", path("csr")];
    await openssl(["req", ...EC_KEY, "-subj", subject, "-utf8", ...out]);
    await Bun.write(path("ext"), `${extensions.join("\n")}\n`);
    const ca = ["-CA", this.ca.cert, "-CAkey", this.ca.key, "-CAcreateserial"];
    const end = ["-days", String(days), "-extfile", path("ext"), "-out", files.cert];
    await openssl(["x509", "-req", "-in", path("csr"), ...ca, ...end]);
    return files;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function openssl(args: readonly string[]): Promise<void> {
  const child = Bun.spawn([program("openssl").path, ...args], { stdout: "ignore", stderr: "pipe" });
  const text = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`openssl ${args.join(" ")} failed:\n${text}`);
}
