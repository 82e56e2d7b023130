import type { ImageConfig } from "@stowage/client/image";
import type { Descriptor } from "@stowage/oci/descriptor";

/** A step of an image's making (OCI image specification, "Image Configuration", history). */
export interface HistoryStep {
  readonly created: string | null;
  readonly createdBy: string | null;
  readonly comment: string | null;
  readonly author: string | null;
  /** What it made; null: nothing but config. */
  readonly layer: Descriptor | null;
}

/** The steps, oldest first. What others wrote may be anything: it is taken as far as it is text. */
export function historyOf(config: ImageConfig, layers: readonly Descriptor[]): readonly HistoryStep[] {
  const left = [...layers];
  const entries: readonly unknown[] = Array.isArray(config.history) ? config.history : [];
  return entries.map((entry) => {
    const members =
      typeof entry === "object" && entry !== null ? (entry as Readonly<Record<string, unknown>>) : {};
    const text = (member: string) => (typeof members[member] === "string" ? members[member] : null);
    return {
      created: text("created"),
      createdBy: text("created_by"),
      comment: text("comment"),
      author: text("author"),
      layer: members.empty_layer === true ? null : (left.shift() ?? null),
    };
  });
}
