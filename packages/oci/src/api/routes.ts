import type { ErrorCode } from "../errors.ts";
import type { ApiRequest, ApiRoute } from "./model.ts";
import { BLOB_ROUTES } from "./routes-blobs.ts";
import { BASE_ROUTES, CATALOG_ROUTES, REFERRERS_ROUTES, TAG_ROUTES, TAGS_ROUTES } from "./routes-listings.ts";
import { MANIFEST_ROUTES } from "./routes-manifests.ts";
import { HEALTH_ROUTES, KEYS_ROUTES, SIGN_IN_ROUTES } from "./routes-sign-in.ts";
import { UPLOAD_ROUTES } from "./routes-uploads.ts";

/**
 * Every endpoint that clients of a registry meet, one entry for each method and path, in an order in which the examples
 * work: what is pushed by one is pulled and deleted by those behind it. The management API describes itself.
 */
export const API_ROUTES: readonly ApiRoute[] = [
  ...BASE_ROUTES,
  ...SIGN_IN_ROUTES,
  ...KEYS_ROUTES,
  ...UPLOAD_ROUTES,
  ...BLOB_ROUTES,
  ...MANIFEST_ROUTES,
  ...TAGS_ROUTES,
  ...TAG_ROUTES,
  ...REFERRERS_ROUTES,
  ...CATALOG_ROUTES,
  ...HEALTH_ROUTES,
];

/** A request with the route that it belongs to. */
export interface RoutedRequest {
  readonly route: ApiRoute;
  readonly request: ApiRequest;
}

export const API_REQUESTS: readonly RoutedRequest[] = API_ROUTES.flatMap((route) =>
  route.requests.map((request) => ({ route, request })),
);

/** Routes with the same path, in the order of the table. */
export function routesByPath(): ReadonlyMap<string, readonly ApiRoute[]> {
  const paths = new Map<string, ApiRoute[]>();
  for (const route of API_ROUTES) paths.set(route.path, [...(paths.get(route.path) ?? []), route]);
  return paths;
}

/** Endpoints that can answer with the code, as `METHOD path`. */
export function endpointsOf(code: ErrorCode): readonly string[] {
  return API_ROUTES.filter((route) =>
    route.requests.some(({ failures }) => failures.some(({ errors }) => errors.includes(code))),
  ).map(({ method, path }) => `${method} ${path}`);
}
