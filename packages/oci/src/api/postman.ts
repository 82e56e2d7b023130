import { type ExampleStep, exampleSteps, targetOf } from "./example-steps.ts";
import { EXAMPLE_FILES, EXAMPLE_VARIABLES } from "./examples.ts";
import { API_ENTITIES } from "./model.ts";

/** Published JSON Schema of the format. */
const SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

/** Variables by the names that users of Postman expect; the others are called as in the examples, in lower case. */
const NAMES: Readonly<Record<string, string>> = { REGISTRY: "baseUrl", NAME: "repository", TAG: "reference" };

type Json = Readonly<Record<string, unknown>>;

/**
 * The examples as a Postman collection (format 2.1): one folder for each entity, variables for what a reader changes,
 * and in each request a test of its status. Run as a whole, in order, it pushes, pulls and deletes.
 */
export function postmanCollection(): Json {
  // A collection cannot save a file and send it: such a request would need the reader's own.
  const steps = exampleSteps().filter(({ example }) => example.body?.kind !== "saved");
  // In the order in which their examples work, which is that of the routes.
  const entities = [...new Set(steps.map(({ route }) => route.entity))];
  return {
    info: {
      name: "Stowage",
      description:
        "Every request of the registry API. Set baseUrl, username and password; the requests of a folder work in their order.",
      schema: SCHEMA,
    },
    auth: basicAuth(),
    variable: variables(),
    item: entities.map((entity) => ({
      name: entity,
      description: API_ENTITIES[entity],
      item: steps.filter(({ route }) => route.entity === entity).map(item),
    })),
  };
}

function basicAuth(): Json {
  const entry = (key: string, value: string) => ({ key, value, type: "string" });
  return { type: "basic", basic: [entry("username", "{{username}}"), entry("password", "{{password}}")] };
}

function variables(): readonly Json[] {
  const entries = Object.entries({ ...EXAMPLE_VARIABLES, UPLOAD: "", REFRESH_TOKEN: "" });
  return entries.map(([name, value]) => ({ key: variableName(name), value, type: "string" }));
}

const variableName = (name: string): string =>
  NAMES[name] ?? name.toLowerCase().replaceAll(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());

/** `$NAME` as `{{repository}}`. */
const template = (text: string): string =>
  text.replaceAll(/\$([A-Z_]+)/g, (_all, name: string) => `{{${variableName(name)}}}`);

function item(step: ExampleStep): Json {
  const { request, example, route } = step;
  const isPreparation = step.for !== request.id;
  return {
    name: isPreparation ? `${request.name}, for ${step.for}` : request.name,
    request: {
      method: route.method,
      description: request.description,
      header: headers(step),
      url: url(step),
      ...(example.isAnonymous ? { auth: { type: "noauth" } } : {}),
      ...(example.body === null ? {} : { body: body(example.body) }),
    },
    event: [{ listen: "test", script: { type: "text/javascript", exec: tests(step) } }],
    response: [],
  };
}

/** Postman sends bodies with their length, so a stream is an upload like others here. */
function headers({ example }: ExampleStep): readonly Json[] {
  return example.headers.map(([key, value]) => ({ key, value: template(value) }));
}

function url(step: ExampleStep): Json {
  const target = template(targetOf(step));
  const [path = "", query] = target.split("?");
  return {
    raw: `{{baseUrl}}${target}`,
    host: ["{{baseUrl}}"],
    path: path.slice(1).split("/"),
    ...(query === undefined
      ? {}
      : { query: step.example.query.map(([key, value]) => ({ key, value: template(value) })) }),
  };
}

function body(wanted: NonNullable<ExampleStep["example"]["body"]>): Json {
  if (wanted.kind === "saved") return { mode: "file", file: { src: wanted.file } };
  if (wanted.kind === "file") return { mode: "raw", raw: EXAMPLE_FILES[wanted.file] ?? "" };
  return {
    mode: "urlencoded",
    urlencoded: wanted.fields.map(([key, value]) => ({ key, value: template(value) })),
  };
}

function tests({ example }: ExampleStep): readonly string[] {
  const lines = [
    `pm.test("answers ${example.status}", () => pm.response.to.have.status(${example.status}));`,
  ];
  if (example.captures === "UPLOAD") {
    lines.push('const location = pm.response.headers.get("Location");');
    lines.push('pm.collectionVariables.set("upload", location.split("/uploads/")[1]);');
  }
  if (example.captures === "REFRESH_TOKEN") {
    lines.push('pm.collectionVariables.set("refreshToken", pm.response.json().refresh_token);');
  }
  return lines;
}
