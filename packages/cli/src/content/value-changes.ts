import { isObject } from "@stowage/oci/descriptor";

export interface ValueChange {
  /** Members joined by dots, entries of a list in brackets: `config.Env[2]`. */
  readonly path: string;
  /** Undefined: it is not there. */
  readonly before: unknown;
  readonly after: unknown;
}

/** Changes of one document that are told. */
const CHANGES_MAX = 10_000;

/** Where two JSON values differ, down to the single text or number. */
export function valueChanges(before: unknown, after: unknown, path = ""): readonly ValueChange[] {
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
    return keys
      .flatMap((key) => valueChanges(before[key], after[key], path === "" ? key : `${path}.${key}`))
      .slice(0, CHANGES_MAX);
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    return Array.from({ length }, (_, at) => valueChanges(before[at], after[at], `${path}[${at}]`))
      .flat()
      .slice(0, CHANGES_MAX);
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
}
