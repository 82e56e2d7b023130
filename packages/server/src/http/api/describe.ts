import { ERROR_CODES } from "@stowage/oci/errors";
import type { Context } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import { z } from "zod";
import { jsonResponse } from "../json.ts";
import type { ApiEnv } from "./api-request.ts";

const CODES = Object.keys(ERROR_CODES) as [string, ...string[]];

const Errors = z
  .object({
    errors: z.array(z.object({ code: z.enum(CODES), message: z.string(), detail: z.unknown() })),
  })
  .meta({ id: "Errors", description: "The error envelope of the OCI Distribution Specification." });

export interface Operation {
  /** Name of the generated client's method. */
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  /** What the answer has; null: nothing. */
  readonly answer: z.ZodType | null;
  /** 200, or 204 without an answer, unless said. */
  readonly status?: 200 | 201 | 204;
  /** Statuses of the operation's own errors. */
  readonly errors?: readonly (404 | 405 | 409 | 429)[];
}

/** The operation as the OpenAPI document shows it. */
export function describe(operation: Operation) {
  const { id, tag, summary, answer, errors = [] } = operation;
  const status = operation.status ?? (answer === null ? 204 : 200);
  const problem = { "application/json": { schema: resolver(Errors) } };
  const problems = [400, 403, ...errors].map((code) => [code, { description: "error", content: problem }]);
  const content = answer === null ? {} : { content: { "application/json": { schema: resolver(answer) } } };
  return describeRoute({
    operationId: id,
    tags: [tag],
    summary,
    responses: { [status]: { description: summary, ...content }, ...Object.fromEntries(problems) },
  });
}

/** A JSON answer whose type is the documented one. */
export function answer<Schema extends z.ZodType>(
  _schema: Schema,
  value: z.output<Schema>,
  status: 200 | 201 = 200,
): Response {
  const response = jsonResponse(value);
  return status === 200 ? response : new Response(response.body, { status, headers: response.headers });
}

/** A page of a listing, with a `Link` to the next one that keeps the other parameters. */
export function answerPage<Schema extends z.ZodType<{ next: string | null }>>(
  context: Context<ApiEnv>,
  schema: Schema,
  value: z.output<Schema>,
  { parameter }: { readonly parameter: string } = { parameter: "next" },
): Response {
  const response = answer(schema, value);
  if (value.next === null) return response;
  const query = new URLSearchParams(context.env.exchange.query);
  query.set(parameter, value.next);
  response.headers.set("Link", `<${context.env.path}?${query}>; rel="next"`);
  return response;
}

/** Milliseconds since 1970 as ISO 8601. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

export function isoTimeOrNull(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}
