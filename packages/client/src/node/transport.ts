/** Where an image lies outside a registry, as people write it. */
export type Transport =
  | {
      /** A folder with an OCI image layout. */
      readonly kind: "oci";
      readonly path: string;
      /** Name of the image in it; null: the only one. */
      readonly reference: string | null;
    }
  | {
      /** A tar file. Read, it is looked at for what it is; written, it gets this form. */
      readonly kind: "oci-archive" | "docker-archive";
      /** Null: standard input or output. */
      readonly path: string | null;
      readonly reference: string | null;
    };

/**
 * Reads `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:REF]` and `-`, where FILE may be `-` as well.
 * As for skopeo, a path ends at the first colon. Null: it is something else, a reference of a registry for example.
 */
export function parseTransport(text: string): Transport | null {
  if (text === "-") return { kind: "docker-archive", path: null, reference: null };
  const [, kind, path = "", reference = ""] =
    /^(oci|oci-archive|docker-archive):([^:]+)(?::(.+))?$/.exec(text) ?? [];
  const name = reference === "" ? null : reference;
  switch (kind) {
    case "oci":
      return { kind, path, reference: name };
    case "oci-archive":
    case "docker-archive":
      return { kind, path: path === "-" ? null : path, reference: name };
    default:
      return null;
  }
}

/** The text that {@link parseTransport} reads. */
export function formatTransport(transport: Transport): string {
  const { kind, path, reference } = transport;
  return `${kind}:${path ?? "-"}${reference === null ? "" : `:${reference}`}`;
}
