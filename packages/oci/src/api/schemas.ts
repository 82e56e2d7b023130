import { ERROR_CODES } from "../errors.ts";
import { DIGEST_PATTERN } from "./fields.ts";

/** A JSON Schema (draft 2020-12), as data. */
export type JsonSchema = Readonly<Record<string, unknown>>;

const text: JsonSchema = { type: "string" };
const digest: JsonSchema = { type: "string", pattern: DIGEST_PATTERN };
const size: JsonSchema = { type: "integer", minimum: 0, description: "In bytes." };
const annotations: JsonSchema = { type: "object", additionalProperties: { type: "string" } };
const descriptor: JsonSchema = { $ref: "#/components/schemas/Descriptor" };

function object(
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[] = Object.keys(properties),
): JsonSchema {
  return { type: "object", properties, required };
}

const list = (items: JsonSchema): JsonSchema => ({ type: "array", items });

const FORM: Readonly<Record<string, JsonSchema>> = {
  grant_type: {
    type: "string",
    enum: ["password", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"],
  },
  username: text,
  password: text,
  refresh_token: text,
  subject_token: text,
  scope: text,
  service: text,
  client_id: text,
  access_type: { type: "string", enum: ["online", "offline"] },
};

/** What bodies of JSON are made of, by the names that ApiBody.schema gives. */
export const API_SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  RegistryErrors: object({
    errors: list(
      object({ code: { type: "string", enum: Object.keys(ERROR_CODES) }, message: text, detail: {} }),
    ),
  }),
  Base: { type: "object" },
  Catalog: object({ repositories: list(text) }),
  TagList: object({ name: text, tags: list(text) }),
  TagDetail: object({ name: text, tag: text, digest, mediaType: text, size }),
  TagTarget: object({ digest }),
  Token: object(
    {
      token: text,
      access_token: text,
      token_type: text,
      expires_in: { type: "integer", description: "In seconds." },
      issued_at: { type: "string", format: "date-time" },
      scope: text,
      refresh_token: text,
    },
    ["token", "access_token", "token_type", "expires_in", "issued_at", "scope"],
  ),
  TokenForm: object(FORM, ["grant_type"]),
  Keys: object({
    keys: list(
      object({ kty: text, kid: text, alg: text, use: text, crv: text, x: text, y: text }, ["kty", "kid"]),
    ),
  }),
  Descriptor: object(
    { mediaType: text, digest, size, artifactType: text, annotations, platform: { type: "object" } },
    ["mediaType", "digest", "size"],
  ),
  ImageManifest: object(
    {
      schemaVersion: { const: 2 },
      mediaType: text,
      artifactType: text,
      config: descriptor,
      layers: list(descriptor),
      subject: descriptor,
      annotations,
    },
    ["schemaVersion", "config", "layers"],
  ),
  ImageIndex: object(
    {
      schemaVersion: { const: 2 },
      mediaType: text,
      artifactType: text,
      manifests: list(descriptor),
      subject: descriptor,
      annotations,
    },
    ["schemaVersion", "manifests"],
  ),
  Schema1Manifest: object({
    schemaVersion: { const: 1 },
    name: text,
    tag: text,
    architecture: text,
    fsLayers: list(object({ blobSum: digest })),
    history: list(object({ v1Compatibility: text })),
    signatures: list(object({ header: { type: "object" }, signature: text, protected: text })),
  }),
};
