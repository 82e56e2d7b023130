import { ERROR_CODES, type ErrorCode } from "../errors.ts";
import { ERRORS_BODY } from "./bodies.ts";
import { ERROR_DESCRIPTIONS } from "./error-descriptions.ts";
import {
  ALLOW,
  API_VERSION,
  AUTHORIZATION,
  CHALLENGE,
  CONTENT_RANGE,
  EMPTY_LENGTH,
  RETRY_AFTER,
  UPLOAD_ID,
  UPLOAD_LOCATION,
  UPLOAD_RANGE,
} from "./fields.ts";
import type { ApiAnswer, ApiBody, ApiExample, ApiField, ApiRequest } from "./model.ts";

/** What any endpoint of `/v2/` can say. */
export const ALWAYS: readonly ErrorCode[] = [
  "UNAUTHORIZED",
  "DENIED",
  "TOOMANYREQUESTS",
  "INTERNAL_ERROR",
  "UNAVAILABLE",
];

/** What is said by endpoints below a repository, and by those that change something. */
const NAMED: readonly ErrorCode[] = ["NAME_INVALID"];
const CHANGING: readonly ErrorCode[] = ["UNSUPPORTED", "STORAGE_FULL"];

const HEADERS_OF: Readonly<Record<number, readonly ApiField[]>> = {
  401: [CHALLENGE],
  405: [ALLOW],
  429: [RETRY_AFTER],
};

const NAMES: Readonly<Record<number, string>> = {
  400: "Invalid request",
  401: "Sign in",
  403: "Denied",
  404: "Not found",
  405: "Not supported, or in use",
  409: "Conflict",
  413: "Too large",
  416: "Range not satisfiable",
  429: "Too many requests",
  500: "Fault of the registry",
  503: "Busy",
  507: "Disk full",
};

/** Which answers a request can fail with, one for each status, in order. */
export function failures(
  codes: readonly ErrorCode[],
  extra: { readonly rangeHeaders?: readonly ApiField[] } = {},
): readonly ApiAnswer[] {
  const statuses = [...new Set(codes.map((code) => ERROR_CODES[code].status))].sort((a, b) => a - b);
  return statuses.map((status) => {
    const errors = codes.filter((code) => ERROR_CODES[code].status === status);
    const headers = status === 416 ? (extra.rangeHeaders ?? []) : (HEADERS_OF[status] ?? []);
    return {
      name: NAMES[status] ?? `Status ${status}`,
      status,
      description: errors.map((code) => ERROR_DESCRIPTIONS[code].description).join(" "),
      headers,
      bodies: [ERRORS_BODY],
      errors,
    };
  });
}

/** Headers of a 416 to a chunk, and to a download. */
export const UPLOAD_STATE: readonly ApiField[] = [UPLOAD_LOCATION, UPLOAD_RANGE, UPLOAD_ID];
export const BLOB_SIZE: readonly ApiField[] = [CONTENT_RANGE];

export interface SuccessText {
  readonly name: string;
  readonly status: number;
  readonly description: string;
  readonly headers?: readonly ApiField[];
  readonly bodies?: readonly ApiBody[];
}

export function success({ name, status, description, headers = [], bodies = [] }: SuccessText): ApiAnswer {
  return { name, status, description, headers, bodies, errors: [] };
}

/** The answer without a body that most changes get. */
export function empty(text: Omit<SuccessText, "bodies">): ApiAnswer {
  return success({ ...text, headers: [EMPTY_LENGTH, ...(text.headers ?? [])] });
}

type RequestText = Omit<ApiRequest, "parameters" | "bodies" | "failures" | "example"> & {
  readonly parameters?: ApiRequest["parameters"];
  readonly bodies?: readonly ApiBody[];
  readonly errors?: readonly ErrorCode[];
  readonly rangeHeaders?: readonly ApiField[];
  readonly example: (Partial<ApiExample> & Pick<ApiExample, "status">) | null;
};

/** A request of `/v2/`: with what all of them have. */
export function registryRequest(text: RequestText): ApiRequest {
  return v2Request(text, ALWAYS);
}

/** A request below a repository that reads. */
export function readRequest(text: RequestText): ApiRequest {
  return v2Request(text, [...NAMED, ...ALWAYS]);
}

/** A request below a repository that changes something. */
export function changeRequest(text: RequestText): ApiRequest {
  return v2Request(text, [...NAMED, ...ALWAYS, ...CHANGING]);
}

function v2Request(text: RequestText, common: readonly ErrorCode[]): ApiRequest {
  const { parameters = [], bodies = [], errors = [], successes, example, rangeHeaders = [] } = text;
  return {
    id: text.id,
    name: text.name,
    description: text.description,
    parameters: [...parameters, AUTHORIZATION],
    bodies,
    successes: successes.map((answer) => ({ ...answer, headers: [...answer.headers, API_VERSION] })),
    failures: failures([...new Set([...errors, ...common])], { rangeHeaders }),
    example: example === null ? null : exampleOf(example),
  };
}

export function exampleOf(text: Partial<ApiExample> & Pick<ApiExample, "status">): ApiExample {
  return {
    path: {},
    query: [],
    headers: [],
    body: null,
    isChunked: false,
    saves: null,
    isAnonymous: false,
    captures: null,
    after: [],
    ...text,
  };
}

export function file(name: string): ApiExample["body"] {
  return { kind: "file", file: name };
}
