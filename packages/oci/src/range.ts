/** A part of a body: first and last byte, both inclusive, as in a Range header. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export type RangeAnswer =
  /** No range, or one that RFC 9110 section 14.2 lets a server ignore: answer the whole body. */
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly range: ByteRange }
  /** 416 with `Content-Range: bytes *\/size`. */
  | { readonly kind: "unsatisfiable" };

const SINGLE_RANGE = /^bytes=\s*(\d{0,15})\s*-\s*(\d{0,15})\s*$/i;

/**
 * What to answer to a Range header for a body of `size` bytes (RFC 9110 section 14). One range with a start,
 * an end, or a suffix is honoured; several ranges, another unit or a malformed header answer the whole body. A
 * range that ends before it starts is rejected, which section 14.2 allows and the conformance suite asks for.
 */
export function resolveRange(header: string | null, size: number): RangeAnswer {
  const match = header === null ? null : SINGLE_RANGE.exec(header);
  if (match === null) return { kind: "whole" };
  const [, first = "", last = ""] = match;
  if (first === "" && last === "") return { kind: "whole" };
  if (first === "") {
    const suffix = Number(last);
    if (suffix === 0 || size === 0) return { kind: "unsatisfiable" };
    return { kind: "part", range: { start: Math.max(0, size - suffix), end: size - 1 } };
  }
  const start = Number(first);
  const isInverted = last !== "" && Number(last) < start;
  if (isInverted || start >= size) return { kind: "unsatisfiable" };
  return { kind: "part", range: { start, end: last === "" ? size - 1 : Math.min(Number(last), size - 1) } };
}

const CONTENT_RANGE = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/;

/**
 * `Content-Range` of a chunk: the specification's `<start>-<end>`, also with the unit and the total of
 * RFC 9110 section 14.4 that some clients send. Null when it is malformed or ends before it starts.
 */
export function parseContentRange(header: string): ByteRange | null {
  const match = CONTENT_RANGE.exec(header.trim());
  if (match === null) return null;
  const range = { start: Number(match[1]), end: Number(match[2]) };
  return range.end < range.start ? null : range;
}

/**
 * `Range` of an upload session that holds `offset` bytes: `0-<last byte>`. An empty session is `0-0`, the
 * form that every client reads (`0--1` breaks docker).
 */
export function formatUploadRange(offset: number): string {
  return `0-${Math.max(0, offset - 1)}`;
}
