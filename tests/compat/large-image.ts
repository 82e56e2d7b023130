import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { blobOf, seededBytes } from "../support/content.ts";
import { describe, hexOf, OCI_MANIFEST, tarHeader, writeLayout } from "./images.ts";

/** What is in memory at once. */
const PIECE_BYTES = 16 * 1024 * 1024;

/** Writes an image layout whose one layer is a tar with one file of `bytes` random bytes, piece by piece. `bytes` is a multiple of 16 MiB. */
export async function writeLargeImage(
  folder: string,
  bytes: number,
): Promise<{ digest: string; size: number }> {
  const blobFolder = join(folder, "blobs", "sha256");
  await mkdir(blobFolder, { recursive: true });
  const hasher = new Bun.CryptoHasher("sha256");
  const file = Bun.file(join(folder, "layer")).writer();
  let size = 0;
  const write = async (piece: Uint8Array<ArrayBuffer>) => {
    hasher.update(piece);
    file.write(piece);
    size += piece.byteLength;
    await file.flush();
  };
  await write(tarHeader("large.bin", bytes));
  for (let at = 0; at < bytes / PIECE_BYTES; at++) await write(seededBytes(PIECE_BYTES, at));
  await write(new Uint8Array(1024));
  await file.end();
  const digest = `sha256:${hasher.digest("hex")}`;
  await rename(join(folder, "layer"), join(blobFolder, hexOf(digest)));

  const rootfs = { type: "layers", diff_ids: [digest] };
  const config = blobOf(JSON.stringify({ architecture: "amd64", os: "linux", config: {}, rootfs }));
  const manifest = blobOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: describe("application/vnd.oci.image.config.v1+json", config),
      layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest, size }],
    }),
  );
  await writeLayout(
    folder,
    { descriptor: describe(OCI_MANIFEST, manifest), blobs: [manifest, config] },
    "v1",
  );
  return { digest, size };
}

export async function digestOfFile(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const piece of Bun.file(path).stream()) hasher.update(piece);
  return `sha256:${hasher.digest("hex")}`;
}
