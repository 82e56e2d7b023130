import { blobOf, imageOf } from "./content.ts";
import { TestApp } from "./test-app.ts";

/** A row of the table "methods and URIs" that descriptions of the API print. */
export type TableRow = readonly [method: string, path: string];

const IMAGE = imageOf([blobOf("a layer")]);
const LOOSE = blobOf("a blob that no manifest needs");
const PUSHED = blobOf("what the session gets");

const TAGS = ["1.0", "latest"] as const;

/** What each row is sent to do. */
export interface RowValues {
  /** A tag by default. */
  readonly reference?: "tag" | "digest";
}

/**
 * Sends a row of the table to a fresh registry in which everything is that it speaks of. `<name>` is `hello-world`,
 * `<uuid>` a session with nothing in it yet.
 */
export async function sendRow([method, path]: TableRow, { reference = "tag" }: RowValues = {}) {
  await using app = new TestApp();
  for (const tag of TAGS) await app.pushImage("hello-world", tag, IMAGE);
  await app.pushBlob("hello-world", LOOSE);
  const started = await app.request("POST", "/v2/hello-world/blobs/uploads/");
  const uuid = started.headers.get("Docker-Upload-UUID") ?? "";
  const filled = path
    .replace("<name>", "hello-world")
    .replace("<reference>", reference === "tag" ? "latest" : IMAGE.manifest.digest)
    .replace("<digest>", LOOSE.digest)
    .replace("<uuid>", uuid);
  const isFinish = method === "PUT" && path.endsWith("<uuid>");
  const response = await app.request(method, isFinish ? `${filled}?digest=${PUSHED.digest}` : filled, {
    ...bodyOf(method, path),
  });
  const body = await response.bytes();
  // What is there afterwards, by the tags that are left.
  const tags = await (await app.request("GET", "/v2/hello-world/tags/list")).json();
  return { status: response.status, headers: response.headers, body, tags };
}

function bodyOf(method: string, path: string) {
  if (path.endsWith("<reference>") && method === "PUT") {
    return { body: IMAGE.manifest.bytes, headers: { "Content-Type": IMAGE.mediaType } };
  }
  const isUpload = path.endsWith("<uuid>") && (method === "PATCH" || method === "PUT");
  return isUpload ? { body: PUSHED.bytes } : {};
}

/** What each row of the table is answered with: status, and headers that must be there. */
export const TABLE_ANSWERS: Readonly<Record<string, readonly [status: number, ...headers: string[]]>> = {
  "GET /v2/": [200, "Docker-Distribution-Api-Version"],
  "GET /v2/<name>/tags/list": [200],
  "GET /v2/<name>/manifests/<reference>": [200, "Content-Type", "Content-Length", "Docker-Content-Digest"],
  "HEAD /v2/<name>/manifests/<reference>": [200, "Content-Type", "Content-Length", "Docker-Content-Digest"],
  "PUT /v2/<name>/manifests/<reference>": [201, "Location", "Docker-Content-Digest"],
  "DELETE /v2/<name>/manifests/<reference>": [202],
  "GET /v2/<name>/blobs/<digest>": [200, "Content-Length", "Docker-Content-Digest"],
  "HEAD /v2/<name>/blobs/<digest>": [200, "Content-Length", "Docker-Content-Digest"],
  "DELETE /v2/<name>/blobs/<digest>": [202],
  "POST /v2/<name>/blobs/uploads/": [202, "Location", "Range", "Docker-Upload-UUID"],
  "GET /v2/<name>/blobs/uploads/<uuid>": [204, "Location", "Range", "Docker-Upload-UUID"],
  "PATCH /v2/<name>/blobs/uploads/<uuid>": [202, "Location", "Range", "Docker-Upload-UUID"],
  "PUT /v2/<name>/blobs/uploads/<uuid>": [201, "Location", "Docker-Content-Digest"],
  "DELETE /v2/<name>/blobs/uploads/<uuid>": [204],
  "GET /v2/_catalog": [200],
};

/** The rows as the descriptions spell them that copied the official one. */
export const TABLE_ROWS: readonly TableRow[] = Object.keys(TABLE_ANSWERS).map((key) => {
  const [method = "", path = ""] = key.split(" ");
  return [method, path] as const;
});

/** Where the answer to a row differs from the table; empty when nothing does. */
export async function tableDifferences(row: TableRow, values: RowValues = {}): Promise<readonly string[]> {
  const [method, path] = row;
  // A slash at the end or none is the same endpoint.
  const [status, ...headers] =
    TABLE_ANSWERS[`${method} ${path}`] ?? TABLE_ANSWERS[`${method} ${path}/`] ?? [];
  const answer = await sendRow(row, values);
  return [
    ...(answer.status === status ? [] : [`${answer.status}, wanted ${status ?? "a row of the table"}`]),
    ...headers.filter((name) => !answer.headers.has(name)).map((name) => `no ${name}`),
  ];
}
