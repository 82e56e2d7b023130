import type { ExampleStep } from "@stowage/oci/api/example-steps";
import { API_SCHEMAS } from "@stowage/oci/api/schemas";
import { misfits } from "./json-schema.ts";

export interface Answer {
  readonly status: number;
  /** Repeated ones joined by a comma, as fetch does. */
  readonly headers: Headers;
  readonly body: string;
}

/** What every answer has, or what a server adds to it: not described for each request. */
const EVERYWHERE: readonly string[] = [
  "connection",
  "content-length",
  "content-type",
  "content-disposition",
  "date",
  "docker-distribution-api-version",
  "keep-alive",
  "transfer-encoding",
  "x-content-type-options",
  "x-request-id",
];

/** Where an answer is not as the descriptor says. */
export function differences({ request, example }: ExampleStep, answer: Answer): readonly string[] {
  const described = request.successes.find(({ status }) => status === answer.status);
  if (answer.status !== example.status || described === undefined) {
    return [`${request.id} was answered ${answer.status} instead of ${example.status}: ${answer.body}`];
  }
  const problems: string[] = [];
  for (const { name, required, pattern } of described.headers) {
    const value = answer.headers.get(name);
    if (value === null && required) problems.push(`${name} is missing`);
    if (value !== null && pattern !== null && !new RegExp(pattern).test(value)) {
      problems.push(`${name}: ${value} does not match ${pattern}`);
    }
  }
  const names = described.headers.map(({ name }) => name.toLowerCase());
  for (const name of answer.headers.keys()) {
    if (!names.includes(name) && !EVERYWHERE.includes(name)) problems.push(`${name} is not described`);
  }
  return [...problems, ...bodyProblems(described.bodies, answer)].map(
    (problem) => `${request.id}: ${problem}`,
  );
}

function bodyProblems(
  bodies: ExampleStep["request"]["bodies"],
  { headers, body }: Answer,
): readonly string[] {
  if (bodies.length === 0) return body === "" ? [] : [`a body that is not described: ${body}`];
  const type = headers.get("Content-Type");
  const found = bodies.find(({ contentType }) => contentType === type);
  if (found === undefined) return [`the body is ${type}, which is not described`];
  if (found.schema === null) return [];
  return misfits(JSON.parse(body), API_SCHEMAS[found.schema] ?? {});
}
