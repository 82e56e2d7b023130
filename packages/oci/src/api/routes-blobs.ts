import { BLOB_SIZE, changeRequest, empty, readRequest, success } from "./answers.ts";
import { BINARY } from "./bodies.ts";
import {
  ACCEPT_RANGES,
  CACHE_CONTROL,
  CONTENT_DIGEST,
  CONTENT_LENGTH,
  CONTENT_RANGE,
  DIGEST,
  ETAG,
  IF_NONE_MATCH,
  NAME,
  RANGE,
} from "./fields.ts";
import type { ApiField, ApiRoute } from "./model.ts";

const BLOB_HEADERS: readonly ApiField[] = [CONTENT_DIGEST, ACCEPT_RANGES, CACHE_CONTROL, ETAG];

const UNKNOWN = ["DIGEST_INVALID", "BLOB_UNKNOWN"] as const;

const path = "/v2/<name>/blobs/<digest>";
const entity = "Blob";

export const BLOB_ROUTES: readonly ApiRoute[] = [
  {
    id: "end-2",
    method: "HEAD",
    path,
    entity,
    description: "Whether the repository has the blob, and its size.",
    requests: [
      readRequest({
        id: "head-blob",
        name: "Look whether it is there",
        description:
          "For a caller who may push, a positive answer also keeps the blob for a manifest that is pushed next, 24 hours unless set otherwise.",
        parameters: [NAME, DIGEST],
        successes: [
          success({
            name: "There",
            status: 200,
            description: "It is there.",
            headers: [CONTENT_LENGTH, ...BLOB_HEADERS],
          }),
        ],
        errors: UNKNOWN,
        example: { status: 200, path: { digest: "$LAYER" } },
      }),
    ],
  },
  {
    id: "end-2",
    method: "GET",
    path,
    entity,
    description: "The bytes of the blob, all of them or one range.",
    requests: [
      readRequest({
        id: "get-blob",
        name: "The whole blob",
        description:
          "Always `application/octet-stream` and never compressed on the way: the digest is that of the body.",
        parameters: [NAME, DIGEST],
        successes: [
          success({
            name: "Bytes",
            status: 200,
            description: "The blob.",
            headers: [CONTENT_LENGTH, ...BLOB_HEADERS],
            bodies: [BINARY],
          }),
        ],
        errors: UNKNOWN,
        example: { status: 200, path: { digest: "$LAYER" } },
      }),
      readRequest({
        id: "get-blob-range",
        name: "A part of it",
        description: "To go on with a download, or to read an index inside of an archive.",
        parameters: [NAME, DIGEST, RANGE],
        successes: [
          success({
            name: "Part",
            status: 206,
            description: "The bytes of the range.",
            headers: [CONTENT_LENGTH, CONTENT_RANGE, ...BLOB_HEADERS],
            bodies: [BINARY],
          }),
        ],
        errors: [...UNKNOWN, "RANGE_INVALID"],
        rangeHeaders: BLOB_SIZE,
        example: { status: 206, path: { digest: "$LAYER" }, headers: [["Range", "bytes=0-4"]] },
      }),
      readRequest({
        id: "get-blob-if-changed",
        name: "Unless the client has it",
        description: "For caches between: content under a digest does not change.",
        parameters: [NAME, DIGEST, IF_NONE_MATCH],
        successes: [
          success({
            name: "Not modified",
            status: 304,
            description: "The client has it.",
            headers: [...BLOB_HEADERS],
          }),
        ],
        errors: UNKNOWN,
        example: { status: 304, path: { digest: "$LAYER" }, headers: [["If-None-Match", '"$LAYER"']] },
      }),
    ],
  },
  {
    id: "end-10",
    method: "DELETE",
    path,
    entity,
    description: "Takes the blob out of the repository.",
    requests: [
      changeRequest({
        id: "delete-blob",
        name: "Delete",
        description:
          "Other repositories keep theirs. Refused while a manifest of the repository needs it; nobody has to do this to free space, the collector does.",
        parameters: [NAME, DIGEST],
        successes: [empty({ name: "Deleted", status: 202, description: "It is gone from this repository." })],
        errors: [...UNKNOWN, "BLOB_IN_USE"],
        example: { status: 202, path: { digest: "$SCRATCH" } },
      }),
    ],
  },
];
