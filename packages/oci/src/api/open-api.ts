import {
  type ApiAnswer,
  type ApiBody,
  API_ENTITIES,
  type ApiField,
  type ApiParameter,
  type ApiRoute,
} from "./model.ts";
import { routesByPath } from "./routes.ts";
import { API_SCHEMAS, type JsonSchema } from "./schemas.ts";

type Json = Readonly<Record<string, unknown>>;

/** An OpenAPI document, as far as it is looked into here. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: Json;
  readonly paths: Readonly<Record<string, Json>>;
  readonly components?: Readonly<Record<string, Json>>;
  readonly tags?: readonly Json[];
}

const DESCRIPTION = `Docker Registry HTTP API V2, OCI Distribution 1.1, and the management API of Stowage.

Names of repositories contain slashes. Generated clients send them as \`%2F\` in the place of \`{name}\`, and that is accepted: \`/v2/demo%2Fhello/tags/list\` is \`/v2/demo/hello/tags/list\`. No other percent-encoding is accepted in a name.`;

/**
 * The registry's API as OpenAPI 3.1, with the endpoints of `management` (the document that the management API makes of
 * itself) added, if it is given.
 */
export function openApi(management?: OpenApiDocument): OpenApiDocument {
  const own: OpenApiDocument = {
    openapi: "3.1.0",
    info: {
      title: "Stowage",
      version: "2",
      description: DESCRIPTION,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths: Object.fromEntries(
      [...routesByPath()].map(([path, routes]) => [toTemplate(path), pathItem(routes)]),
    ),
    components: {
      schemas: API_SCHEMAS,
      securitySchemes: {
        basic: { type: "http", scheme: "basic", description: "Name and password, or name and access token." },
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "A registry token of /token, or an access token.",
        },
      },
    },
    tags: Object.entries(API_ENTITIES).map(([name, description]) => ({ name, description })),
  };
  return management === undefined ? own : merge(own, management);
}

const toTemplate = (path: string): string => path.replaceAll(/<([a-z]+)>/g, "{$1}");

/** The methods of a path. What its requests have in common and what one of them has becomes one operation. */
function pathItem(routes: readonly ApiRoute[]): Json {
  return Object.fromEntries(routes.map((route) => [route.method.toLowerCase(), operation(route)]));
}

function operation(route: ApiRoute): Json {
  const { requests } = route;
  const ways = requests.map(({ name, description }) => `- ${name}: ${description}`).join("\n");
  const bodies = requests.flatMap((request) => request.bodies);
  const needsBody = requests.every((request) => request.bodies.length > 0);
  const answers = requests.flatMap((request) => [...request.successes, ...request.failures]);
  const isSigned = requests.some(({ parameters }) => parameters.some(({ name }) => name === "Authorization"));
  return {
    operationId: operationId(route),
    summary: route.description,
    description: ways,
    tags: [route.entity],
    parameters: mergedParameters(route),
    ...(bodies.length === 0 ? {} : { requestBody: { required: needsBody, content: contents(bodies) } }),
    responses: responses(answers),
    security: isSigned ? [{}, { bearer: [] }, { basic: [] }] : [{}],
  };
}

/** Called as its first request: `put-manifest` as `v2PutManifest`, because the management API has a manifest too. */
function operationId({ path, requests }: ApiRoute): string {
  return `${path.startsWith("/v2") ? "v2-" : ""}${requests[0]?.id ?? ""}`.replaceAll(
    /-([a-z0-9])/g,
    (_all, letter: string) => letter.toUpperCase(),
  );
}

function mergedParameters({ requests }: ApiRoute): readonly Json[] {
  const found = new Map<string, ApiParameter>();
  for (const { parameters } of requests) {
    for (const parameter of parameters) found.set(`${parameter.in} ${parameter.name}`, parameter);
  }
  // OpenAPI has these three headers elsewhere: in `security`, `content` and `responses`.
  const headersElsewhere = ["Authorization", "Accept", "Content-Length"];
  return [...found.values()]
    .filter((parameter) => parameter.in !== "header" || !headersElsewhere.includes(parameter.name))
    .map((parameter) => {
      const isAlways = requests.every(({ parameters }) =>
        parameters.some(
          (other) => other.in === parameter.in && other.name === parameter.name && other.required,
        ),
      );
      return parameterObject(parameter, isAlways);
    });
}

function parameterObject(parameter: ApiParameter, isRequired: boolean): Json {
  const schema = fieldSchema(parameter);
  return {
    name: parameter.name,
    in: parameter.in,
    required: isRequired,
    description: parameter.description,
    schema: parameter.isRepeatable ? { type: "array", items: schema } : schema,
    ...(parameter.isRepeatable
      ? { style: "form", explode: true, example: [parameter.example] }
      : { example: exampleOf(parameter) }),
  };
}

function fieldSchema({ type, pattern }: ApiField): JsonSchema {
  return type === "string" && pattern !== null ? { type, pattern } : { type };
}

function exampleOf({ type, example }: ApiField): unknown {
  if (type === "integer") return Number(example);
  return type === "boolean" ? example === "true" : example;
}

function contents(bodies: readonly ApiBody[]): Json {
  return Object.fromEntries(bodies.map((body) => [mediaType(body), { schema: bodySchema(body) }]));
}

/** Without parameters: generated clients compare it with what they send and get. */
const mediaType = ({ contentType }: ApiBody): string => contentType.split(";")[0] ?? contentType;

function bodySchema({ schema, contentType }: ApiBody): JsonSchema {
  if (schema !== null) return { $ref: `#/components/schemas/${schema}` };
  return contentType.startsWith("text/") ? { type: "string" } : { type: "string", format: "binary" };
}

function responses(answers: readonly ApiAnswer[]): Json {
  const statuses = [...new Set(answers.map(({ status }) => status))].sort((a, b) => a - b);
  return Object.fromEntries(
    statuses.map((status) => [
      String(status),
      response(answers.filter((answer) => answer.status === status)),
    ]),
  );
}

function response(answers: readonly ApiAnswer[]): Json {
  const bodies = answers.flatMap((answer) => answer.bodies);
  const headers = new Map(answers.flatMap((answer) => answer.headers).map((field) => [field.name, field]));
  const codes = [...new Set(answers.flatMap(({ errors }) => errors))];
  const description = [...new Set(answers.map((answer) => answer.description))].join(" ");
  return {
    description: codes.length === 0 ? description : `${codes.join(", ")}. ${description}`,
    ...(headers.size === 0
      ? {}
      : {
          headers: Object.fromEntries(
            [...headers.values()].map((field) => [field.name, headerObject(field, answers)]),
          ),
        }),
    ...(bodies.length === 0 ? {} : { content: contents(bodies) }),
  };
}

function headerObject(field: ApiField, answers: readonly ApiAnswer[]): Json {
  const isAlways = answers.every(({ headers }) =>
    headers.some(({ name, required }) => name === field.name && required),
  );
  return { description: field.description, required: isAlways, schema: fieldSchema(field) };
}

/** Both in one. What both have under one name must be the same thing, or one of them would change its meaning. */
function merge(own: OpenApiDocument, other: OpenApiDocument): OpenApiDocument {
  const components: Record<string, Json> = {};
  for (const kind of new Set([
    ...Object.keys(own.components ?? {}),
    ...Object.keys(other.components ?? {}),
  ])) {
    components[kind] = union(
      `components.${kind}`,
      own.components?.[kind] ?? {},
      other.components?.[kind] ?? {},
    );
  }
  const names = new Set((own.tags ?? []).map(({ name }) => name));
  return {
    ...own,
    paths: { ...own.paths, ...managed(own, other) },
    components,
    tags: [...(own.tags ?? []), ...(other.tags ?? []).filter(({ name }) => !names.has(name))],
  };
}

/** The paths of the management API, with the ways to sign in that its own document does not repeat. */
function managed(own: OpenApiDocument, other: OpenApiDocument): Readonly<Record<string, Json>> {
  const paths = union("paths", own.paths, other.paths);
  const added = Object.keys(paths).filter((path) => own.paths[path] === undefined);
  return Object.fromEntries(added.map((path) => [path, withSecurity(other.paths[path] ?? {})]));
}

function withSecurity(item: Json): Json {
  const security = [{}, { bearer: [] }, { basic: [] }];
  return Object.fromEntries(
    Object.entries(item).map(([method, value]) =>
      typeof value === "object" && value !== null && "responses" in value
        ? [method, { security, ...value }]
        : [method, value],
    ),
  );
}

function union(where: string, one: Json, other: Json): Readonly<Record<string, Json>> {
  const both = Object.keys(one).filter(
    (key) => key in other && JSON.stringify(one[key]) !== JSON.stringify(other[key]),
  );
  if (both.length > 0) throw new Error(`two OpenAPI documents disagree about ${where}: ${both.join(", ")}`);
  return { ...one, ...other } as Readonly<Record<string, Json>>;
}
