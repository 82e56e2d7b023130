import { expect, test } from "bun:test";
import { createMatcher } from "./match.ts";
import { nearMiss } from "./near-miss.ts";
import { V2_ROUTES } from "./routes.ts";

const matcher = createMatcher(V2_ROUTES);

test.each([
  ["/v2/app/tag/list", "/v2/<name>/tags/list"],
  ["/v2/team/app/tag/list/", "/v2/<name>/tags/list"],
  ["/v2/app/tag/tag/list", "/v2/<name>/tags/list"],
  ["/v2/app/tag/v1", "/v2/<name>/tags/<tag>"],
  ["/v2/app/tags", "/v2/<name>/tags/list"],
  ["/v2/app/tag", "/v2/<name>/tags/list"],
  ["/v2/app/manifest/v1", "/v2/<name>/manifests/<reference>"],
  ["/v2/app/blob/sha256:0", "/v2/<name>/blobs/<digest>"],
  ["/v2/app/blob/upload/", "/v2/<name>/blobs/uploads/"],
  ["/v2/app/blob/upload/x", "/v2/<name>/blobs/uploads/<upload>"],
  ["/v2/catalog", "/v2/_catalog"],
  ["/v1/app/tag/list", null],
  ["/v2/tag/list", null],
  ["/v2/APP/tag/list", null],
  ["/v2/tag/app/other/thing", null],
  ["/", null],
  ["/tag", null],
  ["//", null],
])("nearMiss of %s is %p", (path, template) => {
  expect(nearMiss(path, matcher)).toBe(template);
});
