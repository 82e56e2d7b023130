import type { Action } from "../../auth/authorize.ts";
import type { Exchange, RepositoryExchange } from "../exchange.ts";
import { getBase } from "./base.ts";
import { deleteBlob, getBlob, headBlob } from "./blobs.ts";
import { getCatalog } from "./catalog.ts";
import { deleteManifest, getManifest, headManifest, putManifest } from "./manifests.ts";
import { getReferrers } from "./referrers.ts";
import { deleteTag, getTag, putTag } from "./stowage-tags.ts";
import { getTags } from "./tags.ts";
import { cancelUpload, finishUpload, getUpload, patchUpload, startUpload } from "./uploads.ts";

interface RouteBase {
  /** Endpoint id of the OCI Distribution Specification ("Endpoints"), or the extension it belongs to. */
  readonly id: string;
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "PATCH" | "DELETE";
  readonly template: string;
  /** What `authorize` is asked before the handler runs. */
  readonly action: Action;
}

export interface RegistryRoute extends RouteBase {
  readonly scope: "registry";
  readonly handle: (exchange: Exchange) => Promise<Response>;
}

export interface RepositoryRoute extends RouteBase {
  readonly scope: "repository";
  readonly handle: (exchange: RepositoryExchange) => Promise<Response>;
}

export type Route = RegistryRoute | RepositoryRoute;

/** Every endpoint of Docker Registry HTTP API V2 and OCI Distribution. One row is one endpoint. */
export const V2_ROUTES: readonly Route[] = [
  registry("end-1", "GET", "/v2/", "base", getBase),
  registry("end-1", "HEAD", "/v2/", "base", getBase),
  registry("docker-catalog", "GET", "/v2/_catalog", "catalog", getCatalog),

  repository("end-2", "GET", "/v2/<name>/blobs/<digest>", "pull", getBlob),
  repository("end-2", "HEAD", "/v2/<name>/blobs/<digest>", "pull", headBlob),
  repository("end-10", "DELETE", "/v2/<name>/blobs/<digest>", "delete", deleteBlob),

  // end-4a, end-4b (?digest) and end-11 (?mount) are one method and path.
  repository("end-4a", "POST", "/v2/<name>/blobs/uploads/", "push", startUpload),
  repository("end-13", "GET", "/v2/<name>/blobs/uploads/<upload>", "push", getUpload),
  repository("end-5", "PATCH", "/v2/<name>/blobs/uploads/<upload>", "push", patchUpload),
  repository("end-6", "PUT", "/v2/<name>/blobs/uploads/<upload>", "push", finishUpload),
  repository("end-14", "DELETE", "/v2/<name>/blobs/uploads/<upload>", "push", cancelUpload),

  repository("end-3", "GET", "/v2/<name>/manifests/<reference>", "pull", getManifest),
  repository("end-3", "HEAD", "/v2/<name>/manifests/<reference>", "pull", headManifest),
  repository("end-7a", "PUT", "/v2/<name>/manifests/<reference>", "push", putManifest),
  repository("end-9", "DELETE", "/v2/<name>/manifests/<reference>", "delete", deleteManifest),

  repository("end-8a", "GET", "/v2/<name>/tags/list", "pull", getTags),
  // A tag called "list" is only reached as a manifest's reference.
  repository("stowage-tags", "GET", "/v2/<name>/tags/<tag>", "pull", getTag),
  repository("stowage-tags", "PUT", "/v2/<name>/tags/<tag>", "push", putTag),
  repository("stowage-tags", "DELETE", "/v2/<name>/tags/<tag>", "delete", deleteTag),
  repository("end-12a", "GET", "/v2/<name>/referrers/<digest>", "pull", getReferrers),
];

function registry(
  id: string,
  method: RouteBase["method"],
  template: string,
  action: Action,
  handle: RegistryRoute["handle"],
): Route {
  return { scope: "registry", id, method, template, action, handle };
}

function repository(
  id: string,
  method: RouteBase["method"],
  template: string,
  action: Action,
  handle: RepositoryRoute["handle"],
): Route {
  return { scope: "repository", id, method, template, action, handle };
}
