import { STATUS_CODES } from "node:http";
import { type ExampleStep, exampleSteps, fillIn } from "@stowage/oci/api/example-steps";
import { EXAMPLE_VARIABLES } from "@stowage/oci/api/examples";
import type { OpenApiDocument } from "@stowage/oci/api/open-api";
import { describeApi } from "@stowage/server/http/api/api";
import { openExampleApp, walkExamplesIn } from "../support/api-walk.ts";
import { basic } from "../support/sign-in.ts";
import type { TestApp } from "../support/test-app.ts";
import { MANAGEMENT_EXAMPLES, type ManagementExample } from "./management-examples.ts";
import { headersOf, mask } from "./record-answers.ts";

export interface Operation {
  readonly id: string;
  readonly method: string;
  /** With `{name}` and the like. */
  readonly path: string;
  readonly summary: string;
  readonly tag: string;
}

/** What the management API says of itself. */
export async function managementOperations(): Promise<readonly Operation[]> {
  const { paths } = (await describeApi()) as OpenApiDocument;
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, value]) => {
      const { operationId, summary, tags } = value as Record<"operationId" | "summary", string> & {
        readonly tags: readonly string[];
      };
      return { id: operationId, method: method.toUpperCase(), path, summary, tag: tags[0] ?? "" };
    }),
  );
}

type Call = Omit<ManagementExample, "after">;

/** An example, with the calls that it needs, and which operations those are. */
interface Shown {
  readonly operation: Operation;
  readonly calls: readonly { readonly call: Call; readonly operation: Operation }[];
}

/** The examples in the order of the page: what is about one thing stands together. */
async function shownExamples(): Promise<readonly Shown[]> {
  const operations = new Map((await managementOperations()).map((operation) => [operation.id, operation]));
  const operationOf = ({ operation }: Call): Operation => {
    const found = operations.get(operation);
    if (found === undefined) throw new Error(`no operation is called ${operation}`);
    return found;
  };
  const shown = MANAGEMENT_EXAMPLES.map((example) => ({
    operation: operationOf(example),
    calls: [...(example.after ?? []), example].map((call) => ({ call, operation: operationOf(call) })),
  }));
  const tags = [...new Set(shown.map(({ operation }) => operation.tag))];
  return tags.flatMap((tag) => shown.filter(({ operation }) => operation.tag === tag));
}

/** Steps of the registry's own examples that come before: without the tokens, whose order in lists is random. */
export function stepsBefore(): readonly ExampleStep[] {
  return exampleSteps().filter(({ route }) => route.entity !== "Token");
}

/** Every call of the page as a command of a shell, in its order. */
export async function managementCurls(): Promise<readonly string[]> {
  return (await shownExamples()).flatMap(({ calls }) => calls.map(curlOf));
}

/** docs/api-management.md, with what the examples were really answered. @throws Error when one of them fails */
export async function managementReference(): Promise<string> {
  await using app = await openExampleApp();
  await walkExamplesIn(app, stepsBefore());
  const values: Record<string, string> = { ...EXAMPLE_VARIABLES };
  const parts: string[] = [INTRODUCTION];
  let tag = "";
  for (const { operation, calls } of await shownExamples()) {
    if (operation.tag !== tag) parts.push(`## ${titleOf(operation.tag)}`);
    tag = operation.tag;
    let answer = "";
    for (const call of calls) answer = await answerOf(app, { ...call, values });
    parts.push(operationPart(operation, calls.map(curlOf), answer));
  }
  return `${parts.join("\n\n")}\n`;
}

const titleOf = (tag: string): string => `${tag[0]?.toUpperCase()}${tag.slice(1)}`;

const INTRODUCTION = `# The management API, call by call

<!-- Made by \`npm run docs:api\` from the routes of packages/server/src/http/api and tests/docs/management-examples.ts. -->

What belongs to all of it is in the [notes](api-notes.md#the-management-api); parameters and schemas are in its OpenAPI document,
\`GET /api/v1/openapi.json\`. The calls work in this order behind [those of the registry](api.md#examples), whose variables they use, by
an account that administers. Ids, secrets, keys and times are replaced in the answers.`;

function operationPart(
  { method, path, summary }: Operation,
  calls: readonly string[],
  answer: string,
): string {
  const title = `### ${method} \`${path.replaceAll(/\{(\w+)\}/g, "<$1>")}\``;
  return `${title}\n\n${summary}.\n\n\`\`\`sh\n${calls.join("\n\n")}\n\`\`\`\n\n\`\`\`http\n${answer}\n\`\`\``;
}

function targetOf({ path: given = {}, query }: Call, { path }: Operation): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (parameter, name: string) => {
    return given[name] ?? (name === "name" ? "$NAME" : parameter);
  });
  return query === undefined ? filled : `${filled}?${query}`;
}

function curlOf({ call, operation }: Shown["calls"][number]): string {
  const words = ['curl -i -u "$USERNAME:$PASSWORD"'];
  if (operation.method !== "GET") words.push(`-X ${operation.method}`);
  if (call.body !== undefined) words.push("-H 'Content-Type: application/json'");
  const json = call.body === undefined ? null : JSON.stringify(call.body);
  if (json !== null) words.push(`\\\n  -d ${quoteJson(json)} \\\n `);
  const command = `${words.join(" ")} "$REGISTRY${targetOf(call, operation)}"`;
  if (call.keepsId === undefined) return command;
  return `${command} | tee answer\nID=$(sed -n 's|.*"id":"\\([^"]*\\)".*|\\1|p' answer)`;
}

/** Single quotes where nothing is to be filled in. */
function quoteJson(json: string): string {
  return json.includes("$") ? `"${json.replaceAll('"', '\\"')}"` : `'${json}'`;
}

interface Sent {
  readonly call: Call;
  readonly operation: Operation;
  readonly values: Record<string, string>;
}

async function answerOf(app: TestApp, { call, operation, values }: Sent): Promise<string> {
  const { headers } = basic(values.USERNAME ?? "");
  const isJson = call.body !== undefined;
  // The trail is written behind: what is listed here shall not depend on when.
  await app.registry.audit.flush();
  const response = await app.request(operation.method, fillIn(targetOf(call, operation), values), {
    headers: {
      ...headers,
      Host: "127.0.0.1:5000",
      ...(isJson ? { "Content-Type": "application/json" } : {}),
    },
    ...(isJson ? { body: fillIn(JSON.stringify(call.body), values) } : {}),
  });
  const body = await response.text();
  if (!response.ok) throw new Error(`${operation.id} was answered ${response.status}: ${body}`);
  if (call.keepsId === true) values.ID = (JSON.parse(body) as { readonly id: string }).id;
  const lines = headersOf(response.headers).map(([name, value]) => `${name}: ${value}`);
  const head = [`HTTP/1.1 ${response.status} ${STATUS_CODES[response.status]}`, ...lines].join("\n");
  return body === "" ? head : `${head}\n\n${mask(body)}`;
}
