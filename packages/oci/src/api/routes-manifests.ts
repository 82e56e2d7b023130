import { changeRequest, empty, file, readRequest, success } from "./answers.ts";
import { ARCHIVES, IMAGE, IMAGES, INDEX_BODIES, MANIFESTS, SCHEMA1, TAR } from "./bodies.ts";
import {
  ACCEPT,
  CACHE_CONTROL,
  CONTENT_DIGEST,
  CONTENT_DISPOSITION,
  CONTENT_LENGTH,
  ETAG,
  IMAGE_IN_ARCHIVE,
  IF_NONE_MATCH,
  MANIFEST_LOCATION,
  MORE_TAGS,
  NAME,
  OCI_SUBJECT,
  OCI_TAG,
  PLATFORM,
  PULLS_LIMIT,
  REFERENCE,
  VARY,
  WARNING,
} from "./fields.ts";
import type { ApiAnswer, ApiField, ApiRequest, ApiRoute } from "./model.ts";
import { MEDIA_TYPE } from "../media-type.ts";

const MANIFEST_HEADERS: readonly ApiField[] = [CONTENT_DIGEST, CACHE_CONTROL, ETAG, VARY, PULLS_LIMIT];

const IMAGE_TYPE = [["Content-Type", MEDIA_TYPE.ociManifest]] as const;
const INDEX_TYPE = [["Content-Type", MEDIA_TYPE.ociIndex]] as const;

const UNKNOWN = ["DIGEST_INVALID", "MANIFEST_UNKNOWN"] as const;

const PUT_ERRORS = [
  "DIGEST_INVALID",
  "TAG_INVALID",
  "MANIFEST_INVALID",
  "MANIFEST_UNVERIFIED",
  "MANIFEST_BLOB_UNKNOWN",
  "SIZE_INVALID",
  "TAG_IMMUTABLE",
] as const;

function created(headers: readonly ApiField[] = []): ApiAnswer {
  return empty({
    name: "Created",
    status: 201,
    description: "The manifest and its tags are there, in one step.",
    headers: [MANIFEST_LOCATION, CONTENT_DIGEST, ...headers, WARNING],
  });
}

/** Kept for the import that follows it in the examples. */
const ARCHIVE_FILE = "image.tar";

const EXPORT: ApiRequest = readRequest({
  id: "get-archive",
  name: "The whole image as a file",
  description:
    "An OCI layout and a docker-archive in one, as docker load, podman, skopeo and crane read it: the same bytes each time. Of an index all images, or that of `platform`.",
  parameters: [NAME, REFERENCE, { ...ACCEPT, required: true, example: TAR.contentType }, PLATFORM],
  successes: [
    success({
      name: "Archive",
      status: 200,
      description: "A tar file. `Docker-Content-Digest` is that of the manifest in it.",
      headers: [{ ...CONTENT_LENGTH, required: false }, CONTENT_DISPOSITION, ...MANIFEST_HEADERS],
      bodies: [TAR],
    }),
  ],
  errors: [...UNKNOWN, "REQUEST_INVALID", "SIZE_INVALID", "UNSUPPORTED"],
  example: {
    status: 200,
    path: { reference: "$TAG" },
    headers: [["Accept", TAR.contentType]],
    saves: ARCHIVE_FILE,
  },
});

const IMPORT: ApiRequest = changeRequest({
  id: "put-archive",
  name: "Push an image as a file",
  description:
    "What docker save, podman, skopeo or crane wrote, also gzipped: blobs and manifest in one request. Everything in it is verified; of what is refused, nothing is left.",
  parameters: [NAME, REFERENCE, IMAGE_IN_ARCHIVE, { ...MORE_TAGS, required: false }],
  bodies: ARCHIVES,
  successes: [created([OCI_TAG])],
  errors: [...PUT_ERRORS, "BLOB_UPLOAD_INVALID"],
  example: {
    status: 201,
    path: { name: "$COPY", reference: "$TAG" },
    headers: [["Content-Type", TAR.contentType]],
    body: { kind: "saved", file: ARCHIVE_FILE },
    after: ["get-archive"],
  },
});

const PUT: readonly ApiRequest[] = [
  changeRequest({
    id: "put-manifest",
    name: "Push an image under a tag",
    description:
      "Config and layers must be in the repository with the sizes that the manifest says. The bytes are kept as they are sent. At most 4 MiB.",
    parameters: [NAME, REFERENCE],
    bodies: IMAGES,
    successes: [created()],
    errors: PUT_ERRORS,
    example: { status: 201, path: { reference: "$TAG" }, headers: IMAGE_TYPE, body: file("manifest") },
  }),
  changeRequest({
    id: "put-manifest-tags",
    name: "Push under several tags",
    description: "All tags are set, or none.",
    parameters: [NAME, REFERENCE, MORE_TAGS],
    bodies: MANIFESTS,
    successes: [created([{ ...OCI_TAG, required: true }])],
    errors: PUT_ERRORS,
    example: {
      status: 201,
      path: { reference: "$TAG" },
      query: [
        ["tag", "v1.0"],
        ["tag", "latest"],
      ],
      headers: IMAGE_TYPE,
      body: file("manifest"),
    },
  }),
  changeRequest({
    id: "put-index",
    name: "Push an index",
    description: "The manifests that it lists must be in the repository. Here by digest, which sets no tag.",
    parameters: [NAME, REFERENCE],
    bodies: INDEX_BODIES,
    successes: [created()],
    errors: PUT_ERRORS,
    example: { status: 201, path: { reference: "$INDEX" }, headers: INDEX_TYPE, body: file("index") },
  }),
  changeRequest({
    id: "put-artifact",
    name: "Push an artifact with a subject",
    description: "It is listed among the referrers of its subject, which need not be there yet.",
    parameters: [NAME, REFERENCE],
    bodies: [IMAGE],
    successes: [created([{ ...OCI_SUBJECT, required: true }])],
    errors: PUT_ERRORS,
    example: { status: 201, path: { reference: "$ARTIFACT" }, headers: IMAGE_TYPE, body: file("artifact") },
  }),
  IMPORT,
  changeRequest({
    id: "put-schema1",
    name: "Push a manifest of schema 1",
    description:
      "What docker pushed before 2016, signed: the signature is verified. `name` and `tag` in it are those of the path. Off with `--schema1 off`.",
    parameters: [NAME, REFERENCE],
    bodies: SCHEMA1,
    successes: [created()],
    errors: PUT_ERRORS,
    example: null,
  }),
];

const HEAD: ApiRequest = readRequest({
  id: "head-manifest",
  name: "Resolve a tag",
  description: "Digest, type and size, without the manifest. Not counted as a pull.",
  parameters: [NAME, REFERENCE, ACCEPT],
  successes: [
    success({
      name: "There",
      status: 200,
      description: "It is there.",
      headers: [CONTENT_LENGTH, ...MANIFEST_HEADERS],
    }),
  ],
  errors: UNKNOWN,
  example: { status: 200, path: { reference: "$TAG" } },
});

const FOUND: ApiAnswer = success({
  name: "Manifest",
  status: 200,
  description: "The bytes as they were pushed.",
  headers: [CONTENT_LENGTH, ...MANIFEST_HEADERS],
  bodies: [...MANIFESTS, ...SCHEMA1],
});

const GET: readonly ApiRequest[] = [
  readRequest({
    id: "get-manifest",
    name: "By tag",
    description: "What the tag points at now.",
    parameters: [NAME, REFERENCE, ACCEPT],
    successes: [FOUND],
    errors: UNKNOWN,
    example: { status: 200, path: { reference: "$TAG" }, headers: [["Accept", MEDIA_TYPE.ociManifest]] },
  }),
  readRequest({
    id: "get-manifest-by-digest",
    name: "By digest",
    description: "Always the same bytes, which may be cached forever.",
    parameters: [NAME, REFERENCE],
    successes: [FOUND],
    errors: UNKNOWN,
    example: { status: 200, path: { reference: "$INDEX" } },
  }),
  EXPORT,
  readRequest({
    id: "get-manifest-schema1",
    name: "For a client of before schema 2",
    description:
      "An image, or that of an index for linux/amd64, is converted and signed when `Accept` names schema 1 and nothing newer. Off with `--schema1 off`.",
    parameters: [NAME, REFERENCE, { ...ACCEPT, required: true }],
    successes: [{ ...FOUND, bodies: SCHEMA1 }],
    errors: [...UNKNOWN, "MANIFEST_INVALID"],
    example: { status: 200, path: { reference: "$TAG" }, headers: [["Accept", MEDIA_TYPE.dockerSchema1]] },
  }),
  readRequest({
    id: "get-manifest-if-changed",
    name: "Unless the client has it",
    description: "Whether a tag has moved.",
    parameters: [NAME, REFERENCE, IF_NONE_MATCH],
    successes: [
      success({
        name: "Not modified",
        status: 304,
        description: "The tag has not moved.",
        headers: MANIFEST_HEADERS,
      }),
    ],
    errors: UNKNOWN,
    example: { status: 304, path: { reference: "$TAG" }, headers: [["If-None-Match", '"$MANIFEST"']] },
  }),
];

const DELETE: readonly ApiRequest[] = [
  changeRequest({
    id: "delete-manifest",
    name: "A manifest",
    description:
      "By digest, and with all of its tags. Refused while an index of the repository lists it. It can be undone for a while.",
    parameters: [NAME, REFERENCE],
    successes: [empty({ name: "Deleted", status: 202, description: "The manifest and its tags are gone." })],
    errors: [...UNKNOWN, "TAG_IMMUTABLE", "MANIFEST_IN_USE"],
    example: { status: 202, path: { reference: "$INDEX" } },
  }),
  changeRequest({
    id: "delete-manifest-tag",
    name: "A tag",
    description: "The manifest stays, with its other tags.",
    parameters: [NAME, REFERENCE],
    successes: [empty({ name: "Deleted", status: 202, description: "The tag is gone." })],
    errors: [...UNKNOWN, "TAG_IMMUTABLE"],
    example: { status: 202, path: { reference: "v1.0" } },
  }),
];

const path = "/v2/<name>/manifests/<reference>";
const entity = "Manifest";

export const MANIFEST_ROUTES: readonly ApiRoute[] = [
  {
    id: "end-7a",
    method: "PUT",
    path,
    entity,
    description: "Pushes a manifest, with its tags.",
    requests: PUT,
  },
  { id: "end-3", method: "HEAD", path, entity, description: "Whether it is there.", requests: [HEAD] },
  { id: "end-3", method: "GET", path, entity, description: "The manifest.", requests: GET },
  {
    id: "end-9",
    method: "DELETE",
    path,
    entity,
    description: "Deletes a tag, or a manifest.",
    requests: DELETE,
  },
];
