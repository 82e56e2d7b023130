import type { TemplateFunction } from "../go-template/template.ts";

/** The functions that templates of distribution's `registry-api-descriptor-template` have. */
export const DESCRIPTOR_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  removenewlines: (text) => requireText("removenewlines", text).replace(/\n\s*/g, " "),
  statustext: (status) => STATUS_TEXTS[Number(status)] ?? "",
  prettygorilla: (path) => prettyPath(requireText("prettygorilla", path)),
};

/** Reason phrases of RFC 9110, of the statuses that a registry uses. */
const STATUS_TEXTS: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  206: "Partial Content",
  301: "Moved Permanently",
  302: "Found",
  304: "Not Modified",
  307: "Temporary Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Request Entity Too Large",
  415: "Unsupported Media Type",
  416: "Requested Range Not Satisfiable",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  507: "Insufficient Storage",
};

function requireText(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new Error(`${name} takes a string, not ${JSON.stringify(value)}`);
}

/** `/v2/{name:[a-z]{2}}/tags` as `/v2/<name>/tags`: the regular expressions are for routers. */
function prettyPath(path: string): string {
  let [pretty, depth, isName] = ["", 0, false];
  for (const char of path) {
    if (char === "{") {
      depth++;
      if (depth > 1) continue;
      isName = true;
      pretty += "<";
    } else if (char === "}") {
      depth--;
      if (depth === 0) pretty += ">";
    } else if (depth === 0 || isName) {
      if (depth === 1 && char === ":") isName = false;
      else pretty += char;
    }
  }
  return pretty;
}
