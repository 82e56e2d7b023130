import { API_SCHEMAS, type JsonSchema } from "@stowage/oci/api/schemas";

/** Where a value does not fit a schema, as paths with a reason; the words of JSON Schema that API_SCHEMAS use. */
export function misfits(value: unknown, schema: JsonSchema, path = "$"): readonly string[] {
  const reference = typeof schema.$ref === "string" ? schema.$ref.split("/").at(-1) : undefined;
  if (reference !== undefined) return misfits(value, API_SCHEMAS[reference] ?? { type: reference }, path);
  if (schema.const !== undefined && schema.const !== value) return [`${path} is not ${schema.const}`];
  if (Array.isArray(schema.enum) && !schema.enum.includes(value)) return [`${path} is none of the values`];
  switch (schema.type) {
    case "object":
      return objectMisfits(value, schema, path);
    case "array":
      if (!Array.isArray(value)) return [`${path} is not an array`];
      return value.flatMap((item, at) => misfits(item, (schema.items ?? {}) as JsonSchema, `${path}[${at}]`));
    case "integer":
      return Number.isSafeInteger(value) ? [] : [`${path} is not an integer`];
    case "string":
      if (typeof value !== "string") return [`${path} is not a string`];
      if (typeof schema.pattern !== "string" || new RegExp(schema.pattern).test(value)) return [];
      return [`${path} does not match ${schema.pattern}`];
    case undefined:
      return [];
    default:
      return [`${path}: unknown type ${String(schema.type)}`];
  }
}

function objectMisfits(value: unknown, schema: JsonSchema, path: string): readonly string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return [`${path} is not an object`];
  const known = (schema.properties ?? {}) as Readonly<Record<string, JsonSchema>>;
  const required = (schema.required ?? []) as readonly string[];
  const missing = required.filter((key) => !(key in value)).map((key) => `${path}.${key} is missing`);
  const wrong = Object.entries(value).flatMap(([key, item]) => {
    const found = known[key];
    if (found !== undefined) return misfits(item, found, `${path}.${key}`);
    return schema.properties === undefined || schema.additionalProperties !== undefined
      ? []
      : [`${path}.${key} is not described`];
  });
  return [...missing, ...wrong];
}
