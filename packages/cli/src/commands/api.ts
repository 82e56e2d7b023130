import { basename } from "node:path";
import { listRoutes, makeSpec, renderTemplate, SPEC_FORMATS } from "../api/make-spec.ts";
import { UsageError } from "../arguments.ts";
import type { Call, Command, Group } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { CommandError } from "../failure.ts";
import { TemplateError } from "../go-template/template-error.ts";

/** Largest template that is read, in bytes. */
const TEMPLATE_BYTES_MAX = 16 * 1024 * 1024;

const SPEC: Command = {
  about:
    "Prints the API of this registry: for programs (OpenAPI 3.1), Postman, people (Markdown), or a shell (curl).",
  places: [],
  options: {
    format: {
      value: "FORMAT",
      choices: SPEC_FORMATS,
      help: "openapi (default), postman, markdown or curl",
    },
    output: { value: "FILE", short: "o", help: "write it to a file" },
  },
  shared: [],
  examples: [
    { line: "api spec" },
    { line: "api spec --format postman -o stowage.postman.json" },
    { line: "api spec --format curl > walk.sh" },
    { line: "api spec --format markdown" },
  ],
  run: runSpec,
};

const TEMPLATE: Command = {
  about:
    "Renders a Go template with the API, under the names that templates for distribution's registry-api-descriptor-template use; `-` reads it from standard input.",
  places: [{ name: "FILE", completes: "file", help: "the template, for example api.md.tmpl" }],
  options: { output: { value: "FILE", short: "o", help: "write it to a file" } },
  shared: [],
  examples: [{ line: "api template api.md.tmpl", untested: "it needs a template" }],
  run: runTemplate,
};

const ROUTES: Command = {
  about: "Lists the endpoints of the registry and of its management API.",
  places: [],
  shared: ["output"],
  examples: [{ line: "api routes" }, { line: "api routes --format '{{.method}} {{.path}}'" }],
  run: runRoutes,
};

export const API: Group = {
  about: "The API as documents: OpenAPI, Postman, Markdown, curl, or a template of your own.",
  commands: {
    spec: { summary: "print it as OpenAPI, Postman, Markdown or curl", load: async () => SPEC },
    template: { summary: "render a Go template with it", load: async () => TEMPLATE },
    routes: { summary: "list the endpoints", load: async () => ROUTES },
  },
  examples: [{ line: "api spec --format openapi" }, { line: "api routes" }],
};

async function runSpec(call: Call): Promise<number> {
  const wanted = call.args.get("format") ?? "openapi";
  const format = SPEC_FORMATS.find((candidate) => candidate === wanted);
  // The frame has checked the choice.
  return await deliver(call, await makeSpec(format ?? "openapi"));
}

async function runTemplate(call: Call): Promise<number> {
  const [file = "-"] = call.args.places;
  const text = await readTemplate(call, file);
  return await deliver(call, rendered(text, file === "-" ? "standard input" : basename(file)));
}

function rendered(text: string, name: string): string {
  try {
    return renderTemplate(text, name);
  } catch (error) {
    if (error instanceof TemplateError) throw new UsageError(error.message);
    throw error;
  }
}

async function readTemplate({ world }: Call, file: string): Promise<string> {
  const source = file === "-" ? new Response(world.stdin.stream()) : Bun.file(file);
  if (source instanceof Blob && source.size > TEMPLATE_BYTES_MAX) {
    throw new UsageError(`"${file}" is larger than ${TEMPLATE_BYTES_MAX} bytes`);
  }
  return await source.text().catch((error: unknown) => {
    throw new UsageError(`cannot read "${file}": ${messageOf(error)}`);
  });
}

/** To the file of --output, or to standard output. */
async function deliver({ args, output, say }: Call, text: string): Promise<number> {
  const file = args.get("output");
  if (file === null || file === "-") {
    await output.raw(new TextEncoder().encode(text));
    return EXIT.ok;
  }
  await Bun.write(file, text).catch((error: unknown) => {
    throw new CommandError(`cannot write "${file}": ${messageOf(error)}`);
  });
  say(`wrote ${file}`);
  return EXIT.ok;
}

async function runRoutes({ output }: Call): Promise<number> {
  await output.list(await listRoutes(), {
    value: (route) => route,
    id: ({ method, path }) => `${method} ${path}`,
    head: ["METHOD", "PATH", "API", "ID", "DESCRIPTION"],
    cells: ({ method, path, api, id, description }) => [method, path, api, id, description],
  });
  return EXIT.ok;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
