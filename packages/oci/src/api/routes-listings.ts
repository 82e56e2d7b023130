import { changeRequest, empty, file, readRequest, registryRequest, success } from "./answers.ts";
import { CATALOG, EMPTY_OBJECT, INDEX, TAG_DETAIL, TAG_LIST, TAG_TARGET } from "./bodies.ts";
import {
  ARTIFACT_TYPE,
  CACHE_CONTROL,
  CONTENT_DIGEST,
  DIGEST,
  DIGEST_QUERY,
  FILTERS_APPLIED,
  LAST,
  LINK,
  MANIFEST_LOCATION,
  N,
  NAME,
  TAG,
} from "./fields.ts";
import type { ApiRoute } from "./model.ts";

export const BASE_ROUTES: readonly ApiRoute[] = (["GET", "HEAD"] as const).map((method) => ({
  id: "end-1",
  method,
  path: "/v2/",
  entity: "Base",
  description: "Says that this is a registry, and that the credentials are good.",
  requests: [
    registryRequest({
      id: method === "GET" ? "get-base" : "head-base",
      name: method === "GET" ? "Ask" : "Ask without a body",
      description: "Without credentials the answer is 401, and its challenge says where tokens come from.",
      successes: [
        success({
          name: "A registry",
          status: 200,
          description: "The registry speaks this API.",
          ...(method === "GET" ? { bodies: [EMPTY_OBJECT] } : {}),
        }),
      ],
      example: { status: 200 },
    }),
  ],
}));

export const CATALOG_ROUTES: readonly ApiRoute[] = [
  {
    id: "docker-catalog",
    method: "GET",
    path: "/v2/_catalog",
    entity: "Catalog",
    description: "Names of repositories, in the order of their bytes.",
    requests: [
      registryRequest({
        id: "get-catalog",
        name: "All",
        description: "At most 10,000 on a page. Names that the caller may not pull from are left out.",
        successes: [
          success({
            name: "Names",
            status: 200,
            description: "The first page.",
            headers: [LINK],
            bodies: [CATALOG],
          }),
        ],
        errors: ["PAGINATION_NUMBER_INVALID"],
        example: { status: 200 },
      }),
      registryRequest({
        id: "get-catalog-page",
        name: "A page",
        description:
          "`Link` leads to the next one. Follow it as it is: it can hold more than `n` and `last`.",
        parameters: [{ ...N, required: true }, LAST],
        successes: [
          success({ name: "Names", status: 200, description: "A page.", headers: [LINK], bodies: [CATALOG] }),
        ],
        errors: ["PAGINATION_NUMBER_INVALID"],
        example: { status: 200, query: [["n", "1"]] },
      }),
    ],
  },
];

export const TAGS_ROUTES: readonly ApiRoute[] = [
  {
    id: "end-8a",
    method: "GET",
    path: "/v2/<name>/tags/list",
    entity: "Tags",
    description: "Tags of the repository, in the order of their bytes.",
    requests: [
      readRequest({
        id: "get-tags",
        name: "All",
        description: "At most 10,000 on a page.",
        parameters: [NAME],
        successes: [
          success({
            name: "Tags",
            status: 200,
            description: "The first page.",
            headers: [LINK],
            bodies: [TAG_LIST],
          }),
        ],
        errors: ["NAME_UNKNOWN"],
        example: { status: 200 },
      }),
      readRequest({
        id: "get-tags-page",
        name: "A page",
        description: "`Link` leads to the next one.",
        parameters: [NAME, { ...N, required: true }, LAST],
        successes: [
          success({ name: "Tags", status: 200, description: "A page.", headers: [LINK], bodies: [TAG_LIST] }),
        ],
        errors: ["NAME_UNKNOWN", "PAGINATION_NUMBER_INVALID"],
        example: { status: 200, query: [["n", "1"]] },
      }),
    ],
  },
];

const ONE_TAG = "/v2/<name>/tags/<tag>";

const SET = empty({
  name: "Set",
  status: 201,
  description: "The tag points at the manifest.",
  headers: [MANIFEST_LOCATION, CONTENT_DIGEST],
});

const SET_ERRORS = ["TAG_INVALID", "DIGEST_INVALID", "MANIFEST_UNKNOWN", "TAG_IMMUTABLE"] as const;

export const TAG_ROUTES: readonly ApiRoute[] = [
  {
    id: "stowage-tags",
    method: "GET",
    path: ONE_TAG,
    entity: "Tag",
    description: "What the tag points at.",
    requests: [
      readRequest({
        id: "get-tag",
        name: "Look it up",
        description: "Digest, type and size of the manifest.",
        parameters: [NAME, TAG],
        successes: [
          success({
            name: "Tag",
            status: 200,
            description: "The tag is there.",
            headers: [CONTENT_DIGEST, CACHE_CONTROL],
            bodies: [TAG_DETAIL],
          }),
        ],
        errors: ["MANIFEST_UNKNOWN"],
        example: { status: 200, path: { tag: "$TAG" } },
      }),
    ],
  },
  {
    id: "stowage-tags",
    method: "PUT",
    path: ONE_TAG,
    entity: "Tag",
    description: "Points the tag at a manifest that the repository has.",
    requests: [
      changeRequest({
        id: "put-tag",
        name: "With the digest in the query",
        description: "A new tag, or one that moves.",
        parameters: [NAME, TAG, DIGEST_QUERY],
        successes: [SET],
        errors: SET_ERRORS,
        example: { status: 201, path: { tag: "stable" }, query: [["digest", "$MANIFEST"]] },
      }),
      changeRequest({
        id: "put-tag-json",
        name: "With the digest in the body",
        description: "The same, for those who like JSON better.",
        parameters: [NAME, TAG],
        bodies: [TAG_TARGET],
        successes: [SET],
        errors: [...SET_ERRORS, "SIZE_INVALID", "REQUEST_INVALID"],
        example: {
          status: 201,
          path: { tag: "stable" },
          headers: [["Content-Type", "application/json"]],
          body: file("target"),
        },
      }),
    ],
  },
  {
    id: "stowage-tags",
    method: "DELETE",
    path: ONE_TAG,
    entity: "Tag",
    description: "Takes the tag away.",
    requests: [
      changeRequest({
        id: "delete-tag",
        name: "Delete",
        description: "The manifest stays, with its other tags.",
        parameters: [NAME, TAG],
        successes: [empty({ name: "Deleted", status: 202, description: "The tag is gone." })],
        errors: ["MANIFEST_UNKNOWN", "TAG_IMMUTABLE"],
        example: { status: 202, path: { tag: "stable" } },
      }),
    ],
  },
];

export const REFERRERS_ROUTES: readonly ApiRoute[] = [
  {
    id: "end-12a",
    method: "GET",
    path: "/v2/<name>/referrers/<digest>",
    entity: "Referrers",
    description: "An index of the manifests whose subject is the digest.",
    requests: [
      readRequest({
        id: "get-referrers",
        name: "All",
        description:
          "Never 404: without referrers, and for a repository that is not there, the list is empty. At most 5,000 entries and 4 MiB on a page.",
        parameters: [NAME, DIGEST],
        successes: [
          success({
            name: "Index",
            status: 200,
            description: "The referrers.",
            headers: [LINK],
            bodies: [INDEX],
          }),
        ],
        errors: ["DIGEST_INVALID"],
        example: { status: 200, path: { digest: "$MANIFEST" } },
      }),
      readRequest({
        id: "get-referrers-filtered",
        name: "Of one type",
        description: "For example the bills of materials alone.",
        parameters: [NAME, DIGEST, ARTIFACT_TYPE],
        successes: [
          success({
            name: "Index",
            status: 200,
            description: "The referrers of the type.",
            headers: [FILTERS_APPLIED, LINK],
            bodies: [INDEX],
          }),
        ],
        errors: ["DIGEST_INVALID"],
        example: { status: 200, path: { digest: "$MANIFEST" }, query: [["artifactType", "$SBOM_TYPE"]] },
      }),
    ],
  },
];
