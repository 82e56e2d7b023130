import { EXAMPLE_VARIABLES } from "./examples.ts";
import type { ApiExample } from "./model.ts";
import { API_REQUESTS, type RoutedRequest } from "./routes.ts";

/** One call of the walk through the examples. */
export interface ExampleStep extends RoutedRequest {
  readonly example: ApiExample;
  /** The request that this one prepares, or its own when it is the example itself. */
  readonly for: string;
}

/** All examples in the order in which they work on a fresh registry, each behind the calls that it needs. */
export function exampleSteps(): readonly ExampleStep[] {
  return API_REQUESTS.flatMap(({ request }) => stepsOf(request.id));
}

/** The calls of one example: those that it needs, and at last itself. Empty for a request without an example. */
export function stepsOf(id: string): readonly ExampleStep[] {
  const example = requireRequest(id).request.example;
  if (example === null) return [];
  return [...example.after, id].map((step) => toStep(step, id));
}

function toStep(id: string, wantedBy: string): ExampleStep {
  const routed = requireRequest(id);
  const { example } = routed.request;
  if (example === null) throw new Error(`example of ${wantedBy}: ${id} has no example`);
  return { ...routed, example, for: wantedBy };
}

function requireRequest(id: string): RoutedRequest {
  const found = API_REQUESTS.find(({ request }) => request.id === id);
  if (found === undefined) throw new Error(`unknown request ${JSON.stringify(id)} in the examples`);
  return found;
}

/** Path and query of a step, with variables such as `$NAME` in it. */
export function targetOf({ route, example }: ExampleStep): string {
  const path = route.path.replace(/<([a-z]+)>/g, (placeholder, name: string) => {
    const value = example.path[name] ?? (name === "name" ? "$NAME" : undefined);
    if (value === undefined) throw new Error(`the example gives no value of ${placeholder}`);
    return value;
  });
  const query = example.query.map(([name, value]) => `${name}=${value}`).join("&");
  return query === "" ? path : `${path}?${query}`;
}

/** Puts values in the place of variables; one that has none stays as it is. */
export function fillIn(text: string, values: Readonly<Record<string, string>> = EXAMPLE_VARIABLES): string {
  return text.replace(/\$([A-Z_]+)/g, (variable, name: string) => values[name] ?? variable);
}

/** What a later call needs from an answer, or null: the id of a session, a refresh token. */
export function capture(
  step: ExampleStep,
  answer: { readonly location: string | null; readonly body: string },
): string | null {
  switch (step.example.captures) {
    case "UPLOAD":
      return /\/uploads\/([^?]+)/.exec(answer.location ?? "")?.[1] ?? null;
    case "REFRESH_TOKEN":
      return /"refresh_token":"([^"]+)"/.exec(answer.body)?.[1] ?? null;
    case null:
      return null;
    default:
      return step.example.captures satisfies never;
  }
}
