import { type ExampleStep, exampleSteps, stepsOf, targetOf } from "./example-steps.ts";
import { EXAMPLE_FILES, EXAMPLE_VARIABLES } from "./examples.ts";

/** Variables whose values a reader may want to change, with what they are. */
const SETTINGS: readonly string[] = ["REGISTRY", "USERNAME", "PASSWORD", "NAME", "COPY", "TAG"];

/** How a shell reads what a later call needs out of the file `answer`. */
const CAPTURES: Readonly<Record<string, string>> = {
  UPLOAD: `UPLOAD=$(sed -n 's|^[Ll]ocation: .*/uploads/\\([0-9a-f]*\\).*|\\1|p' answer)`,
  REFRESH_TOKEN: `REFRESH_TOKEN=$(sed -n 's|.*"refresh_token":"\\([^"]*\\)".*|\\1|p' answer)`,
};

/** A shell script of all examples, in an order in which they work on a fresh registry. */
export function curlScript(): string {
  const parts = exampleSteps().map((step) => {
    const title =
      step.for === step.request.id ? `${step.request.name} (${step.request.id})` : `for ${step.for}`;
    return `# ${step.route.entity}: ${title}\n${curlOf(step)}\n`;
  });
  return `#!/bin/sh\n# Every request of the registry API, with curl. Run it in an empty folder.\n\n${curlPreamble()}\n${parts.join("\n")}`;
}

/** What the calls need: variables, and files with what they send. */
export function curlPreamble(): string {
  const variables = Object.entries(EXAMPLE_VARIABLES).map(([name, value]) =>
    SETTINGS.includes(name) ? `${name}=\${${name}:-${quoteDefault(value)}}` : `${name}=${value}`,
  );
  const files = Object.entries(EXAMPLE_FILES).map(
    ([name, text]) => `printf '${text.replace(/\n/g, "\\n")}' > ${name}`,
  );
  return `${variables.join("\n")}\n\n${files.join("\n")}\n`;
}

const quoteDefault = (value: string): string => (/^[\w.:/-]+$/.test(value) ? value : `'${value}'`);

/** The calls of one request: those that it needs, and at last its own. */
export function curlCommands(id: string): readonly string[] {
  return stepsOf(id).map(curlOf);
}

/** One call as a command of a shell. */
export function curlOf(step: ExampleStep): string {
  const { route, example } = step;
  const isHead = route.method === "HEAD";
  const words = [
    isHead ? "curl -I" : example.saves === null ? "curl -i" : `curl -D - -o ${example.saves}`,
    ...(example.isAnonymous || !usesCredentials(step) ? [] : ['-u "$USERNAME:$PASSWORD"']),
    ...(isImplied(step) ? [] : [`-X ${route.method}`]),
    ...example.headers.map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`),
    ...(example.isChunked ? ["-H 'Transfer-Encoding: chunked'"] : []),
    ...bodyWords(example.body),
    `"$REGISTRY${targetOf(step).replaceAll('"', '\\"')}"`,
  ];
  const command = fold(words);
  return example.captures === null ? command : `${command} | tee answer\n${CAPTURES[example.captures] ?? ""}`;
}

/** Whether curl knows the method by what it is told to do. */
function isImplied({ route, example }: ExampleStep): boolean {
  if (route.method === "HEAD") return true;
  return route.method === "GET"
    ? example.body === null
    : route.method === "PUT" && example.body?.kind === "saved";
}

function usesCredentials({ request }: ExampleStep): boolean {
  return request.parameters.some(({ name }) => name === "Authorization");
}

function bodyWords(body: ExampleStep["example"]["body"]): readonly string[] {
  if (body === null) return [];
  if (body.kind === "saved") return [`-T ${body.file}`];
  if (body.kind === "file") return [`--data-binary @${body.file}`];
  return body.fields.map(([name, value]) => `--data-urlencode ${quote(`${name}=${value}`)}`);
}

/** Single quotes where nothing is to be filled in. */
function quote(text: string): string {
  return text.includes("$") ? `"${text.replaceAll('"', '\\"')}"` : `'${text}'`;
}

/** Longest line of a command, in characters. */
const LINE_MAX = 110;

function fold(words: readonly string[]): string {
  const lines: string[] = [];
  for (const word of words) {
    const line = lines.at(-1);
    if (line === undefined) lines.push(word);
    else if (line.length + word.length + 3 > LINE_MAX) lines.push(`  ${word}`);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines.join(" \\\n");
}
