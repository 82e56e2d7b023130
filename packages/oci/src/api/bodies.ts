import { MANIFEST_MEDIA_TYPES, MEDIA_TYPE } from "../media-type.ts";
import type { ApiBody } from "./model.ts";

const JSON_TYPE = "application/json; charset=utf-8";

export const ERRORS_BODY: ApiBody = {
  contentType: JSON_TYPE,
  format: `{
  "errors": [
    { "code": "<code>", "message": "<message>", "detail": <detail> }
  ]
}`,
  schema: "RegistryErrors",
};

export const EMPTY_OBJECT: ApiBody = { contentType: JSON_TYPE, format: "{}", schema: "Base" };

export const BINARY: ApiBody = { contentType: "application/octet-stream", format: "<bytes>", schema: null };

export const TEXT: ApiBody = { contentType: "text/plain;charset=utf-8", format: "ok", schema: null };

export const CATALOG: ApiBody = {
  contentType: JSON_TYPE,
  format: `{ "repositories": ["<name>", ...] }`,
  schema: "Catalog",
};

export const TAG_LIST: ApiBody = {
  contentType: JSON_TYPE,
  format: `{ "name": "<name>", "tags": ["<tag>", ...] }`,
  schema: "TagList",
};

export const TAG_DETAIL: ApiBody = {
  contentType: JSON_TYPE,
  format: `{ "name": "<name>", "tag": "<tag>", "digest": "<digest>", "mediaType": "<media type>", "size": <bytes> }`,
  schema: "TagDetail",
};

export const TAG_TARGET: ApiBody = {
  contentType: "application/json",
  format: `{ "digest": "<digest>" }`,
  schema: "TagTarget",
};

export const TOKEN: ApiBody = {
  contentType: JSON_TYPE,
  format: `{
  "token": "<jwt>",
  "access_token": "<jwt>",
  "token_type": "Bearer",
  "expires_in": <seconds>,
  "issued_at": "<time>",
  "scope": "<scopes>",
  "refresh_token": "<token>"
}`,
  schema: "Token",
};

export const TOKEN_FORM: ApiBody = {
  contentType: "application/x-www-form-urlencoded",
  format: "grant_type=<grant type>&<field>=<value>&...",
  schema: "TokenForm",
};

export const KEYS: ApiBody = {
  contentType: JSON_TYPE,
  format: `{ "keys": [{ "kty": "<type>", "kid": "<id>", ... }] }`,
  schema: "Keys",
};

/** An image manifest as it is pushed and pulled. */
const IMAGE_FORMAT = `{
  "schemaVersion": 2,
  "mediaType": "<media type>",
  "config": { "mediaType": "<media type>", "digest": "<digest>", "size": <bytes> },
  "layers": [{ "mediaType": "<media type>", "digest": "<digest>", "size": <bytes> }, ...]
}`;

const INDEX_FORMAT = `{
  "schemaVersion": 2,
  "mediaType": "<media type>",
  "manifests": [{ "mediaType": "<media type>", "digest": "<digest>", "size": <bytes>, "platform": <platform> }, ...]
}`;

const INDEXES: readonly string[] = [MEDIA_TYPE.ociIndex, MEDIA_TYPE.dockerList];

/** Every type of manifest that can be pushed. */
export const MANIFESTS: readonly ApiBody[] = MANIFEST_MEDIA_TYPES.map((contentType) =>
  INDEXES.includes(contentType)
    ? { contentType, format: INDEX_FORMAT, schema: "ImageIndex" }
    : { contentType, format: IMAGE_FORMAT, schema: "ImageManifest" },
);

export const IMAGES: readonly ApiBody[] = MANIFESTS.filter(({ schema }) => schema === "ImageManifest");
export const INDEX_BODIES: readonly ApiBody[] = MANIFESTS.filter(({ schema }) => schema === "ImageIndex");

export const IMAGE: ApiBody = {
  contentType: MEDIA_TYPE.ociManifest,
  format: IMAGE_FORMAT,
  schema: "ImageManifest",
};
export const INDEX: ApiBody = {
  contentType: MEDIA_TYPE.ociIndex,
  format: INDEX_FORMAT,
  schema: "ImageIndex",
};

const SCHEMA1_FORMAT = `{
  "schemaVersion": 1,
  "name": "<name>",
  "tag": "<tag>",
  "architecture": "<architecture>",
  "fsLayers": [{ "blobSum": "<digest>" }, ...],
  "history": [{ "v1Compatibility": "<JSON>" }, ...],
  "signatures": [{ "header": <header>, "signature": "<signature>", "protected": "<protected>" }]
}`;

/** Manifests of before schema 2, signed. */
export const SCHEMA1: readonly ApiBody[] = [MEDIA_TYPE.dockerSchema1Signed, MEDIA_TYPE.dockerSchema1].map(
  (contentType) => ({ contentType, format: SCHEMA1_FORMAT, schema: "Schema1Manifest" }),
);

/** Images in a tar file: what docker save, podman, skopeo and crane write. */
export const TAR: ApiBody = { contentType: "application/x-tar", format: "<tar file>", schema: null };
export const ARCHIVES: readonly ApiBody[] = [TAR, { ...TAR, contentType: "application/gzip" }];
