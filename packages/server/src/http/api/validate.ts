import { RegistryError } from "@stowage/oci/errors";
import { quote } from "@stowage/oci/reference";
import { validator } from "hono-openapi";
import { z } from "zod";

/** What of a validation's outcome is used: the schemas' library has a larger type. */
interface Outcome {
  readonly success: boolean;
  readonly error?: readonly Problem[];
}

interface Problem {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Problems that one answer names. */
const PROBLEMS_SHOWN_MAX = 5;

/** The query, as `schema` says. @throws RegistryError REQUEST_INVALID, naming the parameter */
export function query<Schema extends z.ZodType>(schema: Schema) {
  return validator("query", schema, (outcome: Outcome) => refuse(outcome, "query parameter"));
}

/** The JSON body. @throws RegistryError REQUEST_INVALID, naming the member */
export function body<Schema extends z.ZodType>(schema: Schema) {
  return validator("json", schema, (outcome: Outcome) => refuse(outcome, "member of the request body"));
}

/** The variable segments of the path. @throws RegistryError REQUEST_INVALID, naming the segment */
export function params<Schema extends z.ZodType>(schema: Schema) {
  return validator("param", schema, (outcome: Outcome) => refuse(outcome, "part of the path"));
}

function refuse(outcome: Outcome, what: string): void {
  if (outcome.success) return;
  const problems = (outcome.error ?? []).slice(0, PROBLEMS_SHOWN_MAX);
  const texts = problems.map(({ path = [], message }) => {
    const field = path.map((part) => String(typeof part === "object" ? part.key : part)).join(".");
    return field === "" ? `${what}: ${message}` : `${what} ${quote(field)}: ${message}`;
  });
  throw new RegistryError("REQUEST_INVALID", { message: `invalid ${texts.join("; ")}` });
}

/** Text that `parse` makes a value of, or the request is refused with what was `wanted`. */
export function parsed<T>(parse: (text: string) => T | null, wanted: string) {
  return z.string().transform((text, context) => {
    const value = parse(text);
    if (value !== null) return value;
    context.addIssue({ code: "custom", message: `${quote(text)} is none; wanted ${wanted}` });
    return z.NEVER;
  });
}
