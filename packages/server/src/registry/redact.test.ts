import { expect, test } from "bun:test";
import { redact, redactPath } from "./redact.ts";

const JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";
const PAT = `stw_AbCdEf123456_${"s3cr3t-S_".repeat(5).slice(0, 43)}`;

const CASES: readonly (readonly [string, string])[] = [
  [
    "docker/29.0.1 go/go1.25 kernel/6.1 os/linux arch/amd64",
    "docker/29.0.1 go/go1.25 kernel/6.1 os/linux arch/amd64",
  ],
  ["Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (X11; Linux x86_64)"],
  ["containers/5.36 (github.com/containers/image)", "containers/5.36 (github.com/containers/image)"],
  [PAT, "stw_AbCdEf123456_***"],
  [`curl ${JWT}`, "curl ***"],
  [`x ${JWT.slice(0, 40)}`, "x ***"],
  ["Authorization: Basic YWxpY2U6aHVudGVyMg==", "Authorization: *** ***"],
  ["bearer abcdef.123-456~x", "bearer ***"],
  ["Cookie: session=hunter2; a=b", "Cookie: ***; a=b"],
  ['{"password": "hunter2"}', '{"password": "***"}'],
  ["password=hunter2&x=1", "password=***&x=1"],
  ["refresh_token=hunter2", "refresh_token=***"],
  ["?X-Amz-Signature=deadbeef&X-Amz-Credential=AKIA/x", "?X-Amz-Signature=***&X-Amz-Credential=***"],
  ["git+https://alice:hunter2@host/x", "git+https://***@host/x"],
  ["api_key: hunter2", "api_key: ***"],
  ["basic", "basic"],
  ["a".repeat(2_000), "a".repeat(1_024)],
];

for (const [text, wanted] of CASES) {
  test(`redact "${text.slice(0, 40)}"`, () => {
    expect(redact(text)).toBe(wanted);
    expect(redact(wanted)).toBe(wanted);
  });
}

test("redactPath leaves the path and nothing after it", () => {
  for (const rest of ["?a=1", "#token", ";jsessionid=1", "?", "%3Fpassword=x", "%23x"]) {
    expect(redactPath(`/v2/team/app/manifests/v1${rest}`)).toBe("/v2/team/app/manifests/v1");
  }
  expect(redactPath("/v2/a/manifests/sha256:abc")).toBe("/v2/a/manifests/sha256:abc");
  expect(redactPath(`/v2/${PAT}/tags/list`)).toBe("/v2/stw_AbCdEf123456_***/tags/list");
  expect(redactPath("http://u:p@host/v2/")).toBe("http://***@host/v2/");
});

test("redact takes its time from the length of the text, whatever stands in it", () => {
  for (const part of ["eyJ", "token=", "stw_", "://", "bearer ", "password", ":// @", "x-amz-", "'\"=:"]) {
    expect(redact(part.repeat(400)).length).toBeLessThan(4_000);
  }
});
