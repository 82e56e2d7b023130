import { ERROR_CODES, type ErrorCode } from "../errors.ts";
import { ERROR_DESCRIPTIONS } from "./error-descriptions.ts";
import type { ApiAnswer, ApiBody, ApiField, ApiParameter, ApiRequest, ApiRoute } from "./model.ts";
import { routesByPath } from "./routes.ts";

/**
 * The descriptor under the names that templates of `registry-api-descriptor-template` use (distribution, package
 * registry/api/v2), so that they render here as they are.
 */
export interface TemplateData {
  readonly RouteDescriptors: readonly RouteDescriptor[];
  readonly ErrorDescriptors: readonly ErrorDescriptor[];
}

export interface RouteDescriptor {
  readonly Name: string;
  /** With `{name:regular expression}` in it; the function prettygorilla takes the expressions out. */
  readonly Path: string;
  readonly Entity: string;
  readonly Description: string;
  readonly Methods: readonly MethodDescriptor[];
}

export interface MethodDescriptor {
  readonly Method: string;
  readonly Description: string;
  readonly Requests: readonly RequestDescriptor[];
}

export interface RequestDescriptor {
  readonly Name: string;
  readonly Description: string;
  readonly Headers: readonly ParameterDescriptor[];
  readonly PathParameters: readonly ParameterDescriptor[];
  readonly QueryParameters: readonly ParameterDescriptor[];
  readonly Body: BodyDescriptor;
  readonly Successes: readonly ResponseDescriptor[];
  readonly Failures: readonly ResponseDescriptor[];
}

export interface ResponseDescriptor {
  readonly Name: string;
  readonly Description: string;
  readonly StatusCode: number;
  readonly Headers: readonly ParameterDescriptor[];
  readonly Fields: readonly ParameterDescriptor[];
  readonly ErrorCodes: readonly ErrorCodeValue[];
  readonly Body: BodyDescriptor;
}

/** Prints as its code, and has the rest below `Descriptor`. */
export interface ErrorCodeValue {
  readonly Descriptor: ErrorDescriptor;
  toString(): string;
}

export interface ErrorDescriptor {
  readonly Code: number;
  readonly Value: string;
  readonly Message: string;
  readonly Description: string;
  readonly HTTPStatusCode: number;
  readonly HTTPStatusCodes: readonly number[];
}

export interface BodyDescriptor {
  readonly ContentType: string;
  readonly Format: string;
}

export interface ParameterDescriptor {
  readonly Name: string;
  readonly Type: string;
  readonly Description: string;
  readonly Required: boolean;
  readonly Format: string;
  readonly Regexp: string;
  readonly Examples: readonly string[];
}

/** Number of the first error code, as in distribution. */
const FIRST_CODE = 1_000;

/** The data for templates. */
export function templateData(): TemplateData {
  const codes = Object.keys(ERROR_CODES) as readonly ErrorCode[];
  return {
    RouteDescriptors: [...routesByPath()].map(([path, routes]) => toRoute(path, routes)),
    ErrorDescriptors: codes.map(toError),
  };
}

function toRoute(path: string, routes: readonly ApiRoute[]): RouteDescriptor {
  const first = routes[0];
  const parameters = routes.flatMap(({ requests }) => requests.flatMap((request) => request.parameters));
  return {
    Name:
      path
        .replace(/^\/(?:v2\/?)?/, "")
        .replaceAll(/[<>]/g, "")
        .replaceAll("/", "-")
        .replace(/-$/, "") || "base",
    Path: path.replaceAll(/<([a-z]+)>/g, (_all, name: string) => {
      const pattern = parameters.find(
        (parameter) => parameter.in === "path" && parameter.name === name,
      )?.pattern;
      return pattern == null ? `{${name}}` : `{${name}:${pattern.replaceAll(/\^|\$(?=\||$)/g, "")}}`;
    }),
    Entity: first?.entity ?? "",
    Description: routes.map(({ description }) => description).join(" "),
    Methods: routes.map(({ method, description, requests }) => ({
      Method: method,
      Description: description,
      Requests: requests.map(toRequest),
    })),
  };
}

function toRequest(request: ApiRequest): RequestDescriptor {
  const placed = (place: ApiParameter["in"]) =>
    request.parameters.filter((parameter) => parameter.in === place);
  return {
    Name: request.name,
    Description: request.description,
    Headers: placed("header").map(toParameter),
    PathParameters: placed("path").map(toParameter),
    QueryParameters: placed("query").map(toParameter),
    Body: toBody(request.bodies),
    Successes: request.successes.map(toResponse),
    Failures: request.failures.map(toResponse),
  };
}

function toResponse(answer: ApiAnswer): ResponseDescriptor {
  return {
    Name: answer.name,
    Description: answer.description,
    StatusCode: answer.status,
    Headers: answer.headers.map(toParameter),
    Fields: [],
    ErrorCodes: answer.errors.map(toErrorCode),
    Body: toBody(answer.bodies),
  };
}

function toErrorCode(code: ErrorCode): ErrorCodeValue {
  const value: ErrorCodeValue = { Descriptor: toError(code) };
  // Not a member of its own, so that what ranges over it or prints it as JSON sees the descriptor alone.
  Object.defineProperty(value, "toString", { value: () => code, enumerable: false });
  return value;
}

function toBody([body]: readonly ApiBody[]): BodyDescriptor {
  return { ContentType: body?.contentType ?? "", Format: body?.format ?? "" };
}

function toParameter(field: ApiField): ParameterDescriptor {
  return {
    Name: field.name,
    Type: field.type,
    Description: field.description,
    Required: field.required,
    Format: field.format,
    Regexp: field.pattern ?? "",
    Examples: [field.example],
  };
}

function toError(code: ErrorCode): ErrorDescriptor {
  const { status, message } = ERROR_CODES[code];
  return {
    Code: FIRST_CODE + Object.keys(ERROR_CODES).indexOf(code),
    Value: code,
    Message: message,
    Description: ERROR_DESCRIPTIONS[code].description,
    HTTPStatusCode: status,
    HTTPStatusCodes: [status],
  };
}
