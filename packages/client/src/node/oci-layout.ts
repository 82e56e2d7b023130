import type { Descriptor } from "@stowage/oci/descriptor";
import { ClientError } from "../client-error.ts";
import type {
  BlobRef,
  ClosableTarget,
  ContentSource,
  ManifestHead,
  OpenBytes,
  RawManifest,
} from "../content.ts";

/**
 * A folder with an OCI image layout, to read and to write. Tags are the annotation `org.opencontainers.image.ref.name` of
 * `index.json`, which is written by `close`; blobs and manifests appear under their digest at once, complete or not at all.
 */
export class OciLayout implements ContentSource, ClosableTarget {
  readonly label: string;

  private constructor(path: string) {
    this.label = `oci:${path}`;
  }

  /** A layout that is there. @throws ClientError of kind `not-found`, or `invalid` when it is none */
  static async open(path: string): Promise<OciLayout> {
    return new OciLayout(path);
  }

  /** A layout that is made unless it is there; what it holds stays. @throws ClientError `invalid`: the folder holds other things */
  static async create(path: string): Promise<OciLayout> {
    return new OciLayout(path);
  }

  async getManifest(): Promise<RawManifest | null> {
    throw soon();
  }

  async openBlob(): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | null> {
    throw soon();
  }

  // biome-ignore lint/correctness/useYield: it comes with the next commit
  async *referrers(): AsyncIterable<Descriptor> {
    throw soon();
  }

  // biome-ignore lint/correctness/useYield: it comes with the next commit
  async *tags(): AsyncIterable<string> {
    throw soon();
  }

  async hasBlob(_blob: BlobRef): Promise<boolean> {
    throw soon();
  }

  async headManifest(_reference: string): Promise<ManifestHead | null> {
    throw soon();
  }

  async mountBlob(): Promise<boolean> {
    return false;
  }

  async putBlob(_blob: BlobRef, _open: OpenBytes): Promise<void> {
    throw soon();
  }

  async putManifest(_manifest: RawManifest): Promise<void> {
    throw soon();
  }

  async close(): Promise<void> {
    throw soon();
  }
}

function soon(): ClientError {
  return new ClientError("invalid", "OCI layouts come with the next commit");
}
