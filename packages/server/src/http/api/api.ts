import { RegistryError } from "@stowage/oci/errors";
import { quote } from "@stowage/oci/reference";
import { Hono } from "hono";
import { readBody } from "../body.ts";
import type { Api, ApiEnv, ApiRequest } from "./api-request.ts";
import { addAuditRoutes } from "./audit.ts";
import { addAccessRoutes } from "./access.ts";
import { addBlobRoutes } from "./blobs.ts";
import { addDeletionRoutes } from "./deletions.ts";
import { addGarbageRoutes } from "./garbage.ts";
import { addKeyRoutes } from "./keys.ts";
import { addManifestRoutes } from "./manifests.ts";
import { addNamespaceRoutes } from "./namespaces.ts";
import { addOpenApi, describeRoutes } from "./openapi.ts";
import { addRepositoryRoutes } from "./repositories.ts";
import { addRobotRoutes } from "./robots.ts";
import { addPolicyRoutes } from "./policies.ts";
import { addQuotaRoutes } from "./quotas.ts";
import { addScrubRoutes } from "./scrub.ts";
import { addSelfRoutes } from "./self.ts";
import { addTagRoutes } from "./tags.ts";
import { API_ROOT, isMutating } from "./target.ts";
import { addTokenRoutes } from "./tokens.ts";
import { addUserRoutes } from "./users.ts";
import { addWhoAmIRoute } from "./whoami.ts";
import { addWorkloadRoutes } from "./workloads.ts";

/** Largest body of a request, in bytes. */
const BODY_BYTES_MAX = 64 * 1024;

const METHODS = ["GET", "PUT", "POST", "DELETE"] as const;

const api = createApi();

/**
 * Answers a request of the management API. The door has matched and authorized it; the router sees no more of it than
 * its method, path, query and body.
 * @throws RegistryError; the door makes the answer of it
 */
export async function answerApi(request: ApiRequest): Promise<Response> {
  const { exchange, path } = request;
  const { method } = exchange.request;
  const known = METHODS.filter((candidate) => api.router.match(candidate, path)[0].length > 0);
  if (known.length === 0) throw new RegistryError("ROUTE_UNKNOWN");
  const wanted = METHODS.find((candidate) => candidate === (method === "HEAD" ? "GET" : method));
  if (wanted === undefined || !known.includes(wanted)) {
    throw new RegistryError("UNSUPPORTED", {
      message: `method ${quote(method)} is not supported on ${path}`,
      headers: { Allow: known.join(", ") },
    });
  }
  const json = isMutating(method) ? await readJson(exchange.request) : null;
  const init = json === null ? {} : { body: json, headers: { "Content-Type": "application/json" } };
  const inner = new Request(`http://registry/?${exchange.query}`, { method, ...init });
  const response = await api.fetch(inner, request);
  response.headers.set("Cache-Control", "no-store");
  return response;
}

/** The management API as an OpenAPI document, for those who have no server to ask. */
export async function describeApi(): Promise<unknown> {
  return await describeRoutes(api);
}

function createApi(): Api {
  const hono = new Hono<ApiEnv>({ getPath: (_request, options) => options?.env?.path ?? "/" });
  const root = hono.basePath(API_ROOT);
  root.onError((error) => {
    throw error;
  });
  addRepositoryRoutes(root);
  addNamespaceRoutes(root);
  addTagRoutes(root);
  addManifestRoutes(root);
  addBlobRoutes(root);
  addDeletionRoutes(root);
  addGarbageRoutes(root);
  addPolicyRoutes(root);
  addQuotaRoutes(root);
  addScrubRoutes(root);
  addAuditRoutes(root);
  addWhoAmIRoute(root);
  addSelfRoutes(root);
  addUserRoutes(root);
  addRobotRoutes(root);
  addTokenRoutes(root);
  addAccessRoutes(root);
  addWorkloadRoutes(root);
  addKeyRoutes(root);
  addOpenApi(root);
  return root;
}

/**
 * The body's JSON text, or null without one.
 * @throws RegistryError SIZE_INVALID, REQUEST_INVALID
 */
async function readJson(request: Request): Promise<string | null> {
  const bytes = await readBody(request, { bytesMax: BODY_BYTES_MAX, invalid: "REQUEST_INVALID" });
  if (bytes.byteLength === 0) return null;
  const contentType = request.headers.get("Content-Type") ?? "";
  if (!/^application\/json\s*(?:;|$)/i.test(contentType)) {
    throw new RegistryError("REQUEST_INVALID", {
      message: `Content-Type is ${quote(contentType)}; wanted application/json`,
    });
  }
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  try {
    JSON.parse(text);
  } catch (cause) {
    throw new RegistryError("REQUEST_INVALID", { message: "the request body is not JSON", cause });
  }
  return text;
}
