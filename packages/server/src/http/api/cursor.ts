import { RegistryError } from "@stowage/oci/errors";
import { z } from "zod";
import type { Position } from "../../registry/inventory.ts";

/** Where a listing goes on. Clients take it for what it is: text that the answer before gave them. */
export interface Cursor {
  /** The listing and its order: it goes on with no other. */
  readonly of: string;
  /** When the first page was read, in milliseconds since 1970. */
  readonly until: number;
  readonly after: Position;
}

const CURSOR_LENGTH_MAX = 1_024;

const Parts = z.tuple([z.string(), z.number(), z.number(), z.string()]);

export function formatCursor({ of, until, after }: Cursor): string {
  return Buffer.from(JSON.stringify([of, until, after.value, after.name])).toString("base64url");
}

/** @throws RegistryError REQUEST_INVALID when it is not one that a listing `of` this order gave */
export function requireCursor(text: string, of: string): Cursor {
  const parts = Parts.safeParse(text.length > CURSOR_LENGTH_MAX ? null : readJson(text));
  if (!parts.success || parts.data[0] !== of) {
    throw new RegistryError("REQUEST_INVALID", {
      message: `invalid query parameter "next": wanted what a page of the same listing and order gave`,
    });
  }
  const [, until, value, name] = parts.data;
  return { of, until, after: { value, name } };
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return null;
  }
}
