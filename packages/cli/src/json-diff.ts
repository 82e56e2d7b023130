import type { RawManifest } from "@stowage/client/content";
import { UsageError } from "./arguments.ts";

/** A member that is not the same in both; undefined: it is not there. */
export interface Difference {
  /** `layers[0].digest` */
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** Members of two JSON documents that differ, in the order of the first one. */
export function diffJson(before: unknown, after: unknown, path = ""): readonly Difference[] {
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    return Array.from({ length }, (_, at) => diffJson(before[at], after[at], `${path}[${at}]`)).flat();
  }
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => diffJson(own(before, key), own(after, key), pathOf(path, key)));
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
}

/** A member may be called `__proto__`. */
function own(value: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function pathOf(path: string, key: string): string {
  if (!/^\w+$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @throws UsageError when it is no JSON */
export function parseJson({ bytes, digest }: RawManifest): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    throw new UsageError(`the manifest ${digest} is not JSON`);
  }
}
