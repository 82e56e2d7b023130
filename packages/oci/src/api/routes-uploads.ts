import { changeRequest, empty, file, success, UPLOAD_STATE } from "./answers.ts";
import { BINARY } from "./bodies.ts";
import {
  BLOB_LOCATION,
  CONTENT_DIGEST,
  CONTENT_LENGTH_REQUEST,
  CONTENT_RANGE_REQUEST,
  DIGEST_ALGORITHM,
  DIGEST_QUERY,
  FROM,
  MOUNT,
  NAME,
  UPLOAD,
} from "./fields.ts";
import type { ApiAnswer, ApiRequest, ApiRoute } from "./model.ts";

const BYTES = [["Content-Type", "application/octet-stream"]] as const;

const SESSION = { status: 202, headers: UPLOAD_STATE };

const CREATED: ApiAnswer = empty({
  name: "Created",
  status: 201,
  description: "The blob is in the repository, and durable.",
  headers: [BLOB_LOCATION, CONTENT_DIGEST],
});

const STARTED: ApiAnswer = empty({
  ...SESSION,
  name: "Session begun",
  description: "The session is empty. `Location` is where its bytes go.",
});

const ADVANCED: ApiAnswer = empty({
  ...SESSION,
  name: "Chunk accepted",
  description: "The bytes are durable. `Range` says how many there are in all.",
});

const START: readonly ApiRequest[] = [
  changeRequest({
    id: "start-upload",
    name: "Begin a session",
    description: "The bytes follow in one PUT, or in as many PATCHes as the client likes.",
    parameters: [NAME],
    successes: [STARTED],
    example: { status: 202, captures: "UPLOAD" },
  }),
  changeRequest({
    id: "start-upload-sha512",
    name: "Begin a session for another algorithm",
    description: "As before, for a blob that will be addressed by a digest of sha512.",
    parameters: [NAME, { ...DIGEST_ALGORITHM, required: true }],
    successes: [STARTED],
    errors: ["DIGEST_INVALID"],
    example: { status: 202, query: [["digest-algorithm", "sha512"]] },
  }),
  changeRequest({
    id: "push-blob",
    name: "Push a blob in one request",
    description: "The body is the whole blob. No session is left over, whatever happens.",
    parameters: [NAME, DIGEST_QUERY, CONTENT_LENGTH_REQUEST],
    bodies: [BINARY],
    successes: [CREATED],
    errors: ["DIGEST_INVALID", "BLOB_UPLOAD_INVALID"],
    example: { status: 201, query: [["digest", "$EMPTY"]], headers: BYTES, body: file("empty") },
  }),
  changeRequest({
    id: "mount-blob",
    name: "Take a blob from another repository",
    description:
      "Nothing is sent: the blob is linked to this repository as well. It needs pull on the other one; without that the answer is as if the blob were not there.",
    parameters: [NAME, MOUNT, FROM],
    successes: [
      CREATED,
      empty({
        ...SESSION,
        name: "Not mounted",
        description:
          "The blob cannot be taken from there. A session is begun, so that the client can upload it.",
      }),
    ],
    errors: ["DIGEST_INVALID"],
    example: {
      status: 201,
      path: { name: "$COPY" },
      query: [
        ["mount", "$EMPTY"],
        ["from", "$NAME"],
      ],
    },
  }),
];

const STATE: ApiRequest = changeRequest({
  id: "get-upload",
  name: "Ask how far it is",
  description: "After a connection broke off: what the registry has for sure, and where to go on.",
  parameters: [NAME, UPLOAD],
  successes: [
    success({ name: "State", status: 204, description: "The session is there.", headers: UPLOAD_STATE }),
  ],
  errors: ["BLOB_UPLOAD_UNKNOWN"],
  example: { status: 204, path: { upload: "$UPLOAD" }, after: ["start-upload", "upload-chunk"] },
});

const CHUNKS: readonly ApiRequest[] = [
  changeRequest({
    id: "upload-chunk",
    name: "Send a chunk",
    description:
      "Content-Range says where it belongs. A chunk that does not continue what is there changes nothing: 416 says where to go on.",
    parameters: [NAME, UPLOAD, { ...CONTENT_RANGE_REQUEST, required: true }, CONTENT_LENGTH_REQUEST],
    bodies: [BINARY],
    successes: [ADVANCED],
    errors: ["BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "RANGE_INVALID"],
    rangeHeaders: UPLOAD_STATE,
    example: {
      status: 202,
      path: { upload: "$UPLOAD" },
      headers: [...BYTES, ["Content-Range", "0-9"]],
      body: file("layer-1"),
      after: ["start-upload"],
    },
  }),
  changeRequest({
    id: "upload-stream",
    name: "Send a stream",
    description:
      "Without Content-Range, and with a length that need not be known: docker does it. When it breaks off, what arrived is kept.",
    parameters: [NAME, UPLOAD],
    bodies: [BINARY],
    successes: [ADVANCED],
    errors: ["BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "RANGE_INVALID"],
    rangeHeaders: UPLOAD_STATE,
    example: {
      status: 202,
      path: { upload: "$UPLOAD" },
      headers: BYTES,
      body: file("config"),
      isChunked: true,
      after: ["start-upload"],
    },
  }),
];

const FINISH_ERRORS = [
  "DIGEST_INVALID",
  "BLOB_UPLOAD_INVALID",
  "BLOB_UPLOAD_UNKNOWN",
  "RANGE_INVALID",
] as const;

const FINISH: readonly ApiRequest[] = [
  changeRequest({
    id: "finish-upload",
    name: "Finish",
    description:
      "All bytes are there. If their digest is another one, the session ends and nothing is readable. The same request again gets the same answer for an hour.",
    parameters: [NAME, UPLOAD, DIGEST_QUERY],
    successes: [CREATED],
    errors: FINISH_ERRORS,
    rangeHeaders: UPLOAD_STATE,
    example: {
      status: 201,
      path: { upload: "$UPLOAD" },
      query: [["digest", "$CONFIG"]],
      after: ["start-upload", "upload-stream"],
    },
  }),
  changeRequest({
    id: "finish-upload-with-chunk",
    name: "Finish with the last chunk",
    description: "The body is what is missing.",
    parameters: [NAME, UPLOAD, DIGEST_QUERY, CONTENT_RANGE_REQUEST, CONTENT_LENGTH_REQUEST],
    bodies: [BINARY],
    successes: [CREATED],
    errors: FINISH_ERRORS,
    rangeHeaders: UPLOAD_STATE,
    example: {
      status: 201,
      path: { upload: "$UPLOAD" },
      query: [["digest", "$LAYER"]],
      headers: [...BYTES, ["Content-Range", "10-18"]],
      body: file("layer-2"),
      after: ["start-upload", "upload-chunk"],
    },
  }),
  changeRequest({
    id: "finish-upload-whole",
    name: "Send everything and finish",
    description: "A session and one PUT: containerd and BuildKit push like that.",
    parameters: [NAME, UPLOAD, DIGEST_QUERY, CONTENT_LENGTH_REQUEST],
    bodies: [BINARY],
    successes: [CREATED],
    errors: FINISH_ERRORS,
    rangeHeaders: UPLOAD_STATE,
    example: {
      status: 201,
      path: { upload: "$UPLOAD" },
      query: [["digest", "$SCRATCH"]],
      headers: BYTES,
      body: file("scratch"),
      after: ["start-upload"],
    },
  }),
];

const CANCEL: ApiRequest = changeRequest({
  id: "cancel-upload",
  name: "Give it up",
  description: "The bytes are dropped. Sessions that nobody finishes end by themselves after a week.",
  parameters: [NAME, UPLOAD],
  successes: [
    {
      name: "Cancelled",
      status: 204,
      description: "The session is gone.",
      headers: [],
      bodies: [],
      errors: [],
    },
  ],
  errors: ["BLOB_UPLOAD_UNKNOWN"],
  example: { status: 204, path: { upload: "$UPLOAD" }, after: ["start-upload"] },
});

const UPLOADS = "/v2/<name>/blobs/uploads/";
const ONE_UPLOAD = "/v2/<name>/blobs/uploads/<upload>";
const entity = "Blob upload";

export const UPLOAD_ROUTES: readonly ApiRoute[] = [
  {
    id: "end-4a",
    method: "POST",
    path: UPLOADS,
    entity,
    description: "Begins an upload, pushes a small blob at once, or mounts one.",
    requests: START,
  },
  {
    id: "end-5",
    method: "PATCH",
    path: ONE_UPLOAD,
    entity,
    description: "Adds bytes to the session.",
    requests: CHUNKS,
  },
  {
    id: "end-13",
    method: "GET",
    path: ONE_UPLOAD,
    entity,
    description: "The state of the session.",
    requests: [STATE],
  },
  {
    id: "end-6",
    method: "PUT",
    path: ONE_UPLOAD,
    entity,
    description: "Makes the session a blob.",
    requests: FINISH,
  },
  {
    id: "end-14",
    method: "DELETE",
    path: ONE_UPLOAD,
    entity,
    description: "Ends the session.",
    requests: [CANCEL],
  },
];
