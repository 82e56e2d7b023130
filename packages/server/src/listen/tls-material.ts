import { stat } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { readDer } from "./der.ts";

/** Longest file of certificates or of a key, in bytes. */
const PEM_BYTES_MAX = 1_048_576;

/**
 * CAs of clients. Every handshake names them all to the client, and clients refuse long handshakes (OpenSSL: 100 KiB).
 */
const CLIENT_CAS_MAX = 500;

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** CAs of clients; null: clients are not asked for a certificate. */
  readonly clientCaFile: string | null;
}

/** Contents of the files, in PEM, which fit together. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | null;
}

/** @throws Error that names the setting and what is wrong with its file, or that certificate and key do not belong together */
export async function readTlsMaterial({ certFile, keyFile, clientCaFile }: TlsFiles): Promise<TlsMaterial> {
  const cert = await readPem("--tls-cert", certFile);
  const key = await readPem("--tls-key", keyFile);
  const clientCa = clientCaFile === null ? null : await readPem("--tls-client-ca", clientCaFile);
  checkCertificates("--tls-cert", certFile, cert);
  if (clientCa !== null && clientCaFile !== null) {
    const count = checkCertificates("--tls-client-ca", clientCaFile, clientCa);
    if (count > CLIENT_CAS_MAX) {
      throw new Error(
        `--tls-client-ca is "${clientCaFile}", which has ${count} certificates; wanted at most ${CLIENT_CAS_MAX}`,
      );
    }
  }
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const isMismatch = reason.includes("KEY_VALUES_MISMATCH") || reason.includes("KEY_TYPE_MISMATCH");
    const problem = isMismatch ? "do not belong together" : `cannot be used (${reason})`;
    throw new Error(
      `--tls-cert "${certFile}" and --tls-key "${keyFile}" ${problem}; wanted a certificate and its key`,
      { cause },
    );
  }
  return { cert, key, clientCa };
}

/** Changes when one of the files does: time, size and inode of each, or that it is not there. */
export async function stampOf({ certFile, keyFile, clientCaFile }: TlsFiles): Promise<string> {
  const stamps = [certFile, keyFile, clientCaFile ?? certFile].map(async (path) => {
    const found = await stat(path).catch(() => null);
    return found === null ? "none" : `${found.mtimeMs}/${found.size}/${found.ino}`;
  });
  return (await Promise.all(stamps)).join(" ");
}

async function readPem(setting: string, path: string): Promise<string> {
  const file = Bun.file(path);
  let text: string;
  try {
    if ((await file.stat()).size > PEM_BYTES_MAX) throw new Error(`it has more than ${PEM_BYTES_MAX} bytes`);
    text = await file.text();
  } catch (cause) {
    throw new Error(`${setting} is "${path}", which cannot be read; wanted a PEM file`, { cause });
  }
  if (text.includes("-----BEGIN ")) return text;
  throw new Error(`${setting} is "${path}", which has no PEM block; wanted a PEM file`);
}

/** Counts the certificates: the TLS library stops silently at the first one that is damaged. */
function checkCertificates(setting: string, path: string, pem: string): number {
  const blocks = pem.split(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/).slice(1);
  for (const [index, block] of blocks.entries()) {
    const [base64 = "", end] = block.split("-----END ");
    const values = end === undefined ? null : readDer(Buffer.from(base64, "base64"));
    if (values?.length !== 1) {
      throw new Error(
        `${setting} is "${path}", whose certificate number ${index + 1} is damaged; wanted a PEM file`,
      );
    }
  }
  if (blocks.length > 0) return blocks.length;
  throw new Error(`${setting} is "${path}", which has no certificate; wanted a PEM file with certificates`);
}
