import { STATUS_CODES } from "node:http";
import type { RecordedAnswer } from "@stowage/oci/api/recorded-answers";
import { walkExamples } from "../support/api-walk.ts";

/** Runs the examples, and gives what each was answered, by the id of its request. */
export async function recordAnswers(): Promise<Readonly<Record<string, RecordedAnswer>>> {
  const walked = await walkExamples();
  const own = walked.filter(({ step }) => step.for === step.request.id);
  return Object.fromEntries(
    own.map(({ step, response, body }) => [
      step.request.id,
      {
        status: response.status,
        text: STATUS_CODES[response.status] ?? "",
        headers: headersOf(response.headers),
        body: mask(body),
      },
    ]),
  );
}

/** In the order of their names; `Set-Cookie` is the only one that would come several times, and there is none. */
export function headersOf(headers: Headers): readonly (readonly string[])[] {
  return [...headers]
    .map(([name, value]) => [titleCase(name), mask(value)])
    .toSorted(([a = ""], [b = ""]) => (a < b ? -1 : 1));
}

const NAMES: Readonly<Record<string, string>> = {
  etag: "ETag",
  "docker-upload-uuid": "Docker-Upload-UUID",
  "oci-subject": "OCI-Subject",
  "oci-tag": "OCI-Tag",
  "oci-filters-applied": "OCI-Filters-Applied",
};

function titleCase(name: string): string {
  return (
    NAMES[name] ??
    name.replaceAll(/(^|-)([a-z])/g, (_all, dash: string, letter: string) => dash + letter.toUpperCase())
  );
}

/** What is different each time -> what is written instead. */
const MASKS: readonly (readonly [pattern: RegExp, instead: string])[] = [
  // Ids of requests, and of upload sessions (digests have 64 digits).
  [/\b[0-9a-f]{12}-[0-9a-z]+\b/g, "0123456789ab-1"],
  [/(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])/g, "0123456789abcdef0123456789abcdef"],
  [/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"],
  [/"refresh_token":"[^"]+"/g, '"refresh_token":"<refresh token>"'],
  [/\bstw_[\w-]+/g, "<secret>"],
  // Ids of access tokens, and passwords that the registry made.
  [/"id":"[A-Za-z0-9]{12}"/g, '"id":"<id>"'],
  [/"password":"[^"]+"/g, '"password":"<password>"'],
  [/"(kid|x|y|signature|protected)":( ?)"[^"]+"/g, '"$1":$2"<$1>"'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, "2026-01-01T00:00:00.000Z"],
];

/** The answer without what is different each time. */
export function mask(text: string): string {
  return MASKS.reduce((masked, [pattern, instead]) => masked.replaceAll(pattern, instead), text);
}
