import { describe, expect, test } from "bun:test";
import { ClientError, type ClientErrorKind } from "@stowage/client/client-error";
import { ApiError } from "./api-client.ts";
import { UsageError } from "./arguments.ts";
import { CommandError, describeFailure } from "./failure.ts";
import { Interrupted } from "./process-world.ts";

describe("describeFailure", () => {
  const kinds: readonly (readonly [ClientErrorKind, number])[] = [
    ["invalid", 2],
    ["not-found", 3],
    ["unauthenticated", 4],
    ["denied", 5],
    ["conflict", 6],
    ["limited", 7],
    ["refused", 1],
    ["network", 8],
    ["mismatch", 9],
    ["server", 11],
  ];
  test.each(kinds)("%s of a registry ends with %d", (kind, code) => {
    const error = new ClientError(kind, "why", { operation: "pull h/r:t" });
    const failure = describeFailure(error, "copy");
    expect(failure.code).toBe(code);
    expect(failure.text).toStartWith("error: pull h/r:t: why\n");
  });

  const others: readonly (readonly [string, unknown, number, string])[] = [
    [
      "wrong use",
      new UsageError("DST is missing"),
      2,
      "error: copy: DST is missing\nhint: run `stowage copy --help`\n",
    ],
    [
      "a command's word",
      new CommandError("copy: no", { code: 6, hint: "yes" }),
      6,
      "error: copy: no\nhint: yes\n",
    ],
    ["the management API", new ApiError("no (DENIED)", 403), 5, "error: copy: no (DENIED)\n"],
    ["the management API failing", new ApiError("no", 503), 11, "error: copy: no\n"],
    ["what nobody foresaw", new Error("oh"), 1, "error: copy: oh\n"],
    ["no error at all", "oh", 1, "error: copy: oh\n"],
    ["control characters", new Error("a\u001b[2Jb\nc"), 1, "error: copy: a?[2Jb?c\n"],
    ["SIGINT", new Interrupted(130), 130, ""],
    ["SIGTERM within another error", new Error("x", { cause: new Interrupted(143) }), 143, ""],
    ["a connection", Object.assign(new Error("no"), { code: "ConnectionRefused" }), 8, "error: copy: no\n"],
    ["a pipe", Object.assign(new Error("no"), { code: "EPIPE" }), 1, "error: copy: no\n"],
  ];
  test.each(others)("%s", (_, error, code, text) => {
    expect(describeFailure(error, "copy")).toEqual({ code, text });
  });

  test("says what to do about certificates, and about rates", () => {
    const cause = Object.assign(new Error("self signed certificate"), {
      code: "DEPTH_ZERO_SELF_SIGNED_CERT",
    });
    const untrusted = new ClientError("network", "cannot reach h", { operation: "list h", cause });
    expect(describeFailure(untrusted, "ls").text).toContain(
      "hint: the certificate is not trusted: --ca-cert FILE",
    );
    const limited = new ClientError("limited", "slow down", { operation: "list h", retryAfterSeconds: 30 });
    expect(describeFailure(limited, "ls").text).toContain("hint: try again in 30 s\n");
  });
});
