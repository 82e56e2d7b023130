import { REPOSITORY_NAME_SYNTAX } from "../repository-name.ts";
import { TAG_SYNTAX } from "../tag.ts";
import { UPLOAD_ID_SYNTAX } from "../upload-id.ts";
import type { ApiField, ApiParameter } from "./model.ts";

export const DIGEST_PATTERN = "^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$";

const EXAMPLE_DIGEST = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

type FieldText = Pick<ApiField, "format" | "description" | "example"> & Partial<ApiField>;

function field(name: string, text: FieldText): ApiField {
  return { name, type: "string", pattern: null, required: true, ...text };
}

function parameter(
  where: ApiParameter["in"],
  name: string,
  text: FieldText & Partial<ApiParameter>,
): ApiParameter {
  return {
    ...field(name, { required: where === "path", ...text }),
    in: where,
    isRepeatable: text.isRepeatable ?? false,
  };
}

/** Parameters of paths. */
export const NAME = parameter("path", "name", {
  format: "<name>",
  pattern: REPOSITORY_NAME_SYNTAX.source,
  description:
    "Name of the repository, at most 255 characters. Its slashes may be sent as they are or as `%2F`; no other percent-encoding is accepted in it.",
  example: "demo/hello",
});

export const DIGEST = parameter("path", "digest", {
  format: "<digest>",
  pattern: DIGEST_PATTERN,
  description: "Digest of the content. The colon may be sent as `%3A`.",
  example: EXAMPLE_DIGEST,
});

export const REFERENCE = parameter("path", "reference", {
  format: "<reference>",
  pattern: `${TAG_SYNTAX.source}|${DIGEST_PATTERN}`,
  description: "A tag, or the digest of the manifest.",
  example: "v1",
});

export const TAG = parameter("path", "tag", {
  format: "<tag>",
  pattern: TAG_SYNTAX.source,
  description: "The tag. One called `list` can only be used as the reference of a manifest.",
  example: "v1",
});

export const UPLOAD = parameter("path", "upload", {
  format: "<upload>",
  pattern: UPLOAD_ID_SYNTAX.source,
  description: "Id of the session: the end of `Location`. It is a secret of the client that began it.",
  example: "0123456789abcdef0123456789abcdef",
});

/** Parameters of queries. */
export const N = parameter("query", "n", {
  type: "integer",
  format: "<n>",
  description: "Most entries wanted. Larger numbers than 10,000 mean 10,000; 0 gives an empty list.",
  example: "100",
});

export const LAST = parameter("query", "last", {
  format: "<last>",
  description: "Begin behind this entry. It need not exist.",
  example: "v1",
});

export const DIGEST_QUERY = parameter("query", "digest", {
  required: true,
  format: "<digest>",
  pattern: DIGEST_PATTERN,
  description: "Digest that the content must have.",
  example: EXAMPLE_DIGEST,
});

export const DIGEST_ALGORITHM = parameter("query", "digest-algorithm", {
  format: "sha256|sha512",
  pattern: "^sha(?:256|512)$",
  description:
    "Algorithm of the digest that will end the session, so that bytes are hashed as they arrive. sha256 if it is not said.",
  example: "sha512",
});

export const MOUNT = parameter("query", "mount", {
  required: true,
  format: "<digest>",
  pattern: DIGEST_PATTERN,
  description: "Digest of the blob that another repository has.",
  example: EXAMPLE_DIGEST,
});

export const FROM = parameter("query", "from", {
  format: "<name>",
  pattern: REPOSITORY_NAME_SYNTAX.source,
  description: "The other repository. Without it, any that has the blob and that the caller may pull from.",
  example: "demo/hello",
});

export const MORE_TAGS = parameter("query", "tag", {
  required: true,
  isRepeatable: true,
  format: "<tag>",
  pattern: TAG_SYNTAX.source,
  description: "A further tag that is set in the same step; at most 100.",
  example: "latest",
});

export const IMAGE_IN_ARCHIVE = parameter("query", "image", {
  format: "<name>",
  description: "Which image of the archive is meant, when there are several: its tag or name in there.",
  example: "demo/hello:v1",
});

export const PLATFORM = parameter("query", "platform", {
  format: "<os>/<architecture>[/<variant>]",
  description: "Of an index, only the image of this platform.",
  example: "linux/amd64",
});

export const ARTIFACT_TYPE = parameter("query", "artifactType", {
  required: true,
  format: "<media type>",
  description: "Only artifacts of this type.",
  example: "application/vnd.example.sbom",
});

export const SERVICE = parameter("query", "service", {
  format: "<service>",
  description: "The service of the challenge. Accepted, and not needed.",
  example: "stowage",
});

export const SCOPE = parameter("query", "scope", {
  isRepeatable: true,
  format: "<type>:<name>:<actions>",
  description:
    "What the token shall be good for, as the challenge says it. What is not allowed is left out of the token.",
  example: "repository:demo/hello:pull,push",
});

export const ACCOUNT = parameter("query", "account", {
  format: "<account>",
  description: "Name that docker repeats here. Not looked at: the credentials say who it is.",
  example: "alice",
});

export const CLIENT_ID = parameter("query", "client_id", {
  format: "<client>",
  description: "What the client calls itself; shown with the refresh tokens of an account.",
  example: "docker",
});

export const VERBOSE = parameter("query", "verbose", {
  type: "boolean",
  format: "<value>",
  description: "Name each check, one a line. The value does not matter.",
  example: "true",
});

export const OFFLINE_TOKEN = parameter("query", "offline_token", {
  required: true,
  type: "boolean",
  format: "true",
  description: "Also give a refresh token. Only for a password.",
  example: "true",
});

/** Headers of requests. */
export const AUTHORIZATION = parameter("header", "Authorization", {
  format: "<scheme> <credentials>",
  description:
    "`Bearer` with a registry token or an access token, or `Basic` with a name and a password or access token.",
  example: "Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl",
});

export const ACCEPT = parameter("header", "Accept", {
  format: "<media types>",
  description:
    "Types that the client can read. The stored manifest is the answer whatever it says, but for clients of before schema 2.",
  example: "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json",
});

export const RANGE = parameter("header", "Range", {
  required: true,
  format: "bytes=<first>-<last>",
  description: "One range of bytes (RFC 9110). Several ranges or another unit give the whole blob.",
  example: "bytes=0-4",
});

export const IF_NONE_MATCH = parameter("header", "If-None-Match", {
  required: true,
  format: '"<digest>"',
  description: "The digest that the client has, quoted.",
  example: `"${EXAMPLE_DIGEST}"`,
});

export const CONTENT_RANGE_REQUEST = parameter("header", "Content-Range", {
  format: "<first>-<last>",
  pattern: "^(?:bytes[ =])?\\d{1,15}-\\d{1,15}(?:/(?:\\d{1,15}|\\*))?$",
  description:
    "Place of the chunk in the blob: first and last byte. It must continue what is there; without it, it does.",
  example: "0-9",
});

export const CONTENT_LENGTH_REQUEST = parameter("header", "Content-Length", {
  type: "integer",
  format: "<length>",
  description: "Bytes of the body. May be left out with chunked encoding.",
  example: "10",
});

/** Headers of answers. */
export const CONTENT_LENGTH = field("Content-Length", {
  type: "integer",
  format: "<length>",
  pattern: "^\\d+$",
  description: "Bytes of the body.",
  example: "19",
});

export const EMPTY_LENGTH = field("Content-Length", {
  type: "integer",
  format: "0",
  pattern: "^0$",
  description: "There is no body.",
  example: "0",
});

export const CONTENT_DIGEST = field("Docker-Content-Digest", {
  format: "<digest>",
  pattern: DIGEST_PATTERN,
  description: "Digest of the content that the answer is about.",
  example: EXAMPLE_DIGEST,
});

export const ETAG = field("ETag", {
  format: '"<digest>"',
  description:
    "The digest, quoted: content under a digest never changes. Weak (`W/`) for what was converted.",
  example: `"${EXAMPLE_DIGEST}"`,
});

export const CACHE_CONTROL = field("Cache-Control", {
  format: "<directives>",
  description: "`immutable` for what is asked for by digest, `no-cache` for a tag, `no-store` for secrets.",
  example: "no-cache",
});

export const CONTENT_DISPOSITION = field("Content-Disposition", {
  format: 'attachment; filename="<file>"',
  description: "A name for the file.",
  example: 'attachment; filename="hello-v1.tar"',
});

export const VARY = field("Vary", {
  required: false,
  format: "<headers>",
  description: "Headers of the request that can change the answer: caches keep one answer for each.",
  example: "Accept",
});

export const ACCEPT_RANGES = field("Accept-Ranges", {
  format: "bytes",
  pattern: "^bytes$",
  description: "Ranges can be asked for.",
  example: "bytes",
});

export const CONTENT_RANGE = field("Content-Range", {
  format: "bytes <first>-<last>/<size>",
  pattern: "^bytes (?:\\d+-\\d+|\\*)/\\d+$",
  description: "Which bytes of the blob these are.",
  example: "bytes 0-4/19",
});

export const UPLOAD_ID = field("Docker-Upload-UUID", {
  format: "<upload>",
  pattern: UPLOAD_ID_SYNTAX.source,
  description: "Id of the session.",
  example: "0123456789abcdef0123456789abcdef",
});

export const UPLOAD_LOCATION = field("Location", {
  format: "/v2/<name>/blobs/uploads/<upload>",
  pattern: "^/v2/.+/blobs/uploads/[0-9a-f]{32}$",
  description: "Where the session goes on. Relative, and it may change with each answer.",
  example: "/v2/demo/hello/blobs/uploads/0123456789abcdef0123456789abcdef",
});

export const UPLOAD_RANGE = field("Range", {
  format: "0-<last>",
  pattern: "^0-\\d+$",
  description:
    "Bytes that are safe in the registry: up to and with `<last>`. An empty session says `0-0` too.",
  example: "0-9",
});

export const BLOB_LOCATION = field("Location", {
  format: "/v2/<name>/blobs/<digest>",
  pattern: "^/v2/.+/blobs/sha(?:256|512):[0-9a-f]+$",
  description: "Where the blob is.",
  example: `/v2/demo/hello/blobs/${EXAMPLE_DIGEST}`,
});

export const MANIFEST_LOCATION = field("Location", {
  format: "/v2/<name>/manifests/<digest>",
  pattern: "^/v2/.+/manifests/sha(?:256|512):[0-9a-f]+$",
  description: "Where the manifest is, by digest.",
  example: `/v2/demo/hello/manifests/${EXAMPLE_DIGEST}`,
});

export const OCI_SUBJECT = field("OCI-Subject", {
  required: false,
  format: "<digest>",
  pattern: DIGEST_PATTERN,
  description: "The manifest has this subject, and is listed among its referrers.",
  example: EXAMPLE_DIGEST,
});

export const OCI_TAG = field("OCI-Tag", {
  required: false,
  format: "<tag>",
  description: "A further tag that was set; once for each.",
  example: "latest",
});

export const WARNING = field("Warning", {
  required: false,
  format: '299 - "<text>"',
  description: "What a person should read, for example that the quota is nearly used up.",
  example: '299 - "the namespace demo is 93 % full"',
});

export const LINK = field("Link", {
  required: false,
  format: '<<path>?n=<n>&last=<last>>; rel="next"',
  description: "Address of the next page (RFC 8288), relative. Absent on the last one.",
  example: '</v2/demo/hello/tags/list?n=1&last=latest>; rel="next"',
});

export const FILTERS_APPLIED = field("OCI-Filters-Applied", {
  format: "artifactType",
  pattern: "^artifactType$",
  description: "The filter was applied.",
  example: "artifactType",
});

export const API_VERSION = field("Docker-Distribution-Api-Version", {
  format: "registry/2.0",
  pattern: "^registry/2\\.0$",
  description: "What clients of Docker look for.",
  example: "registry/2.0",
});

export const PULLS_LIMIT = field("ratelimit-limit", {
  required: false,
  format: "<count>;w=<seconds>",
  description:
    "Pulls in a window of so many seconds, when they are limited. `ratelimit-remaining` says how many are left.",
  example: "100;w=21600",
});

export const CHALLENGE = field("WWW-Authenticate", {
  format: 'Bearer realm="<url>",service="<service>",scope="<scope>"',
  description: "Where to get a token, and with which scope it would be enough.",
  example:
    'Bearer realm="https://registry.example.com/token",service="stowage",scope="repository:demo/hello:pull"',
});

export const RETRY_AFTER = field("Retry-After", {
  type: "integer",
  format: "<seconds>",
  description: "Seconds after which it makes sense to ask again.",
  example: "5",
});

export const ALLOW = field("Allow", {
  required: false,
  format: "<methods>",
  description: "Methods that the path has.",
  example: "GET, HEAD",
});
