import { capture, type ExampleStep, exampleSteps, fillIn, targetOf } from "@stowage/oci/api/example-steps";
import { EXAMPLE_FILES, EXAMPLE_VARIABLES } from "@stowage/oci/api/examples";
import { createAccount, setRules } from "./sign-in.ts";
import { TestApp } from "./test-app.ts";

/** What a step of the examples was answered. */
export interface WalkedStep {
  readonly step: ExampleStep;
  readonly response: Response;
  readonly body: string;
}

/** A registry in this process for the examples: `alice` administers it, and maintains everything in it. */
export async function openExampleApp(): Promise<TestApp> {
  const app = new TestApp({ auth: {} });
  const name = EXAMPLE_VARIABLES.USERNAME ?? "";
  await createAccount(app, name, { isAdmin: true });
  await setRules(app, [[`user:${name}`, "**", "maintainer"]]);
  return app;
}

/** All examples of the API, in order, against a fresh registry. */
export async function walkExamples(): Promise<readonly WalkedStep[]> {
  await using app = await openExampleApp();
  return await walkExamplesIn(app, exampleSteps());
}

/** These steps of them against a registry of `openExampleApp`, where they leave what they push. */
export async function walkExamplesIn(
  app: TestApp,
  steps: readonly ExampleStep[],
): Promise<readonly WalkedStep[]> {
  const values: Record<string, string> = { ...EXAMPLE_VARIABLES };
  const saved = new Map<string, Uint8Array<ArrayBuffer>>();
  const walked: WalkedStep[] = [];
  for (const step of steps) {
    const response = await send(app, step, { values, saved });
    // What the server does with an answer on its way to the socket.
    const bytes = new Uint8Array(await response.arrayBuffer());
    const text = new TextDecoder().decode(bytes);
    const { saves } = step.example;
    if (saves !== null) {
      saved.set(saves, bytes);
      // Bun sends a stream in chunks, whatever length it is told.
      response.headers.delete("Content-Length");
      response.headers.set("Transfer-Encoding", "chunked");
    }
    const body = step.route.method === "HEAD" || saves !== null ? "" : text;
    if (text !== "" && !response.headers.has("Content-Type")) {
      response.headers.set("Content-Type", "text/plain;charset=utf-8");
    }
    const captured = capture(step, { location: response.headers.get("Location"), body });
    if (step.example.captures !== null) values[step.example.captures] = captured ?? "";
    walked.push({ step, response, body });
  }
  return walked;
}

/** What earlier answers left for later requests. */
interface Known {
  readonly values: Readonly<Record<string, string>>;
  readonly saved: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

async function send(app: TestApp, step: ExampleStep, known: Known): Promise<Response> {
  const { values } = known;
  const { example, route } = step;
  const headers: Record<string, string> = { Host: "127.0.0.1:5000" };
  for (const [name, value] of example.headers) headers[name] = fillIn(value, values);
  if (!example.isAnonymous) {
    headers.Authorization = `Basic ${btoa(fillIn("$USERNAME:$PASSWORD", values))}`;
  }
  const body = bodyOf(example.body, known);
  if (example.body?.kind === "form") headers["Content-Type"] = "application/x-www-form-urlencoded";
  if (body !== null && !example.isChunked) headers["Content-Length"] = String(Buffer.byteLength(body));
  return await app.request(route.method, fillIn(targetOf(step), values), {
    headers,
    ...(body === null ? {} : { body }),
  });
}

function bodyOf(
  body: ExampleStep["example"]["body"],
  { values, saved }: Known,
): string | Uint8Array<ArrayBuffer> | null {
  if (body === null) return null;
  if (body.kind === "saved") return saved.get(body.file) ?? "";
  if (body.kind === "file") return EXAMPLE_FILES[body.file] ?? "";
  const form = new URLSearchParams();
  for (const [name, value] of body.fields) form.append(name, fillIn(value, values));
  return form.toString();
}
