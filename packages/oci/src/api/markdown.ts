import { ERROR_CODES, type ErrorCode } from "../errors.ts";
import { ALWAYS } from "./answers.ts";
import { curlCommands, curlPreamble } from "./curl.ts";
import { DIAGRAMS, mermaid } from "./diagrams.ts";
import { ERROR_DESCRIPTIONS } from "./error-descriptions.ts";
import { type ApiAnswer, API_ENTITIES, type ApiEntity, type ApiRequest, type ApiRoute } from "./model.ts";
import type { RecordedAnswer } from "./recorded-answers.ts";
import { API_ROUTES, endpointsOf } from "./routes.ts";

/** Answers to the examples, by the id of their request. */
export type RecordedAnswers = Readonly<Record<string, RecordedAnswer>>;

/** The reference of the API as Markdown, with what the examples were really answered. */
export function apiMarkdown(answers: RecordedAnswers): string {
  const entities = [...new Set(API_ROUTES.map(({ entity }) => entity))];
  const parts = [
    INTRODUCTION,
    overview(),
    examples(),
    ...entities.map((entity) => entityPart(entity, answers)),
  ];
  return `${[...parts, errorPart(), diagramPart()].join("\n\n")}\n`;
}

const INTRODUCTION = `# The API

<!-- Made by \`npm run docs:api\` from packages/oci/src/api: change it there. -->

Everything of [OCI Distribution](https://github.com/opencontainers/distribution-spec/blob/main/spec.md) 1.1 and Docker Registry
HTTP API V2. The management API is in [a page of its own](api-management.md). [Notes on the API](api-notes.md) say what does not belong
to one endpoint: signing in, limits, and what is answered where the documents leave a choice.

The same as OpenAPI, with the management API: \`stowage api spec --format openapi\`; as a Postman collection, a script of curl calls,
and this page: \`--format postman|curl|markdown\`; in a form of your own: \`stowage api template FILE\`.`;

function overview(): string {
  const rows = API_ROUTES.map(({ method, path, entity, description }) => [
    method,
    code(path),
    entity,
    description,
  ]);
  return `## Endpoints\n\n${table(["method", "path", "about", "what it does"], rows)}`;
}

function examples(): string {
  return `## Examples

Each request below has a call with curl and what it was answered. They work in the order of this page, on a registry whose
account \`$USERNAME\` may push, pull and delete in \`$NAME\` and \`$COPY\`; without authentication leave \`-u\` out. They need this first:

${fence("sh", curlPreamble().trimEnd())}

Ids of requests and sessions, tokens, keys and times are replaced in the answers, always by the same ones. Every request of \`/v2/\`
takes \`Authorization\` (\`Basic\` or \`Bearer\`), and every answer has \`X-Request-Id\`. Any of them can also be answered
${ALWAYS.map((name) => `${ERROR_CODES[name].status} ${code(name)}`).join(", ")}.`;
}

function entityPart(entity: ApiEntity, answers: RecordedAnswers): string {
  const routes = API_ROUTES.filter((route) => route.entity === entity);
  return [`## ${entity}`, API_ENTITIES[entity], ...routes.map((route) => routePart(route, answers))].join(
    "\n\n",
  );
}

function routePart(route: ApiRoute, answers: RecordedAnswers): string {
  const requests = route.requests.map((request) => requestPart(request, answers[request.id]));
  return [`### ${route.method} ${code(route.path)}`, route.description, ...requests].join("\n\n");
}

function requestPart(request: ApiRequest, recorded: RecordedAnswer | undefined): string {
  const parts = [`#### ${request.name}`, request.description];
  if (request.example !== null) parts.push(fence("sh", curlCommands(request.id).join("\n\n")));
  if (recorded !== undefined) parts.push(fence("http", httpText(recorded)));
  if (request.example?.saves != null) parts.push(`The body is in the file \`${request.example.saves}\`.`);
  const parameters = request.parameters.filter(({ name }) => name !== "Authorization");
  if (parameters.length > 0) {
    const rows = parameters.map((parameter) => [
      code(parameter.name),
      parameter.in,
      parameter.required ? "yes" : "",
      parameter.description,
    ]);
    parts.push(table(["parameter", "in", "needed", ""], rows));
  }
  if (request.bodies.length > 0) {
    parts.push(`Body: ${request.bodies.map(({ contentType }) => code(contentType)).join(", ")}.`);
  }
  // What any request can be answered is said once.
  const failures = request.failures.filter(({ errors }) => !errors.every((error) => ALWAYS.includes(error)));
  parts.push(
    table(["answer", "", "codes"], [...request.successes.map(successRow), ...failures.map(failureRow)]),
  );
  return parts.join("\n\n");
}

function httpText({ status, text, headers, body }: RecordedAnswer): string {
  const lines = [`HTTP/1.1 ${status} ${text}`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  return body === "" ? lines.join("\n") : `${lines.join("\n")}\n\n${body.trimEnd()}`;
}

const successRow = ({ status, description }: ApiAnswer): readonly string[] => [
  String(status),
  description,
  "",
];

const failureRow = ({ status, name, errors }: ApiAnswer): readonly string[] => [
  String(status),
  name,
  errors.map(code).join(", "),
];

function errorPart(): string {
  const codes = Object.keys(ERROR_CODES) as readonly ErrorCode[];
  const rows = codes.map((name) => [
    code(name),
    String(ERROR_CODES[name].status),
    ERROR_CODES[name].message,
    ERROR_DESCRIPTIONS[name].description,
    whereOf(name),
  ]);
  return `## Errors

Every error is ${code('{"errors":[{"code","message","detail"}]}')}. The message says what exactly was wrong, for a person; programs look at
the code.

${table(["code", "status", "message", "when, and what to do", "answered by"], rows)}`;
}

/** Endpoints that answer with it; codes that nearly all can have are not worth a list. */
function whereOf(name: ErrorCode): string {
  const endpoints = endpointsOf(name);
  const { answeredBy } = ERROR_DESCRIPTIONS[name];
  const management = answeredBy === "registry" ? [] : ["the management API"];
  const shown = endpoints.length > 8 ? [`${endpoints.length} endpoints`] : endpoints.map(code);
  return [...shown, ...management].join(", ");
}

function diagramPart(): string {
  const parts = DIAGRAMS.map(
    (diagram) => `### ${diagram.title}\n\n${diagram.description}\n\n${fence("mermaid", mermaid(diagram))}`,
  );
  return ["## Sequences", ...parts].join("\n\n");
}

const code = (text: string): string => `\`${text}\``;

function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
