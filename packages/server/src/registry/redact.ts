/** What stands for what was taken out. */
const REDACTED = "***";

/** Most characters that are looked at: what comes after them goes. */
const TEXT_LENGTH_MAX = 1_024;

/** What secrets look like in free text. Each pattern is linear, and keeps its first group. */
const SECRETS: readonly RegExp[] = [
  // Access tokens of this registry: the public part stays.
  /\b(stw_[A-Za-z0-9]{12}_)[A-Za-z0-9_-]+/g,
  // JSON Web Tokens, and what is left of one that was cut.
  /()\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}/g,
  // RFC 7617, RFC 6750.
  /\b((?:basic|bearer)[ \t]{1,8})[A-Za-z0-9._~+/=-]{4,}/gi,
  // Name and value, as in headers, cookies, forms, queries and presigned addresses.
  /((?:authorization|cookie|password|passwd|secret|token|signature|credential|api[-_]?key|x-amz-[a-z-]{1,32})["']?[ \t]{0,4}[=:][ \t]{0,4}["']?)[^\s"'&;,]+/gi,
  // RFC 3986 section 3.2.1: user and password before the host.
  /(:\/\/)[^\s/@]{1,256}(?=@)/g,
];

/**
 * Free text of a client with everything taken out that looks like a secret. The second line of defence: the first is
 * that entries and log lines have no member for headers, queries and bodies.
 */
export function redact(text: string): string {
  const start = text.slice(0, TEXT_LENGTH_MAX);
  return SECRETS.reduce((rest, pattern) => rest.replace(pattern, `$1${REDACTED}`), start);
}

/**
 * The path of a request's target: without a query or fragment, which may sign a request or hold a token, and without
 * what looks like a secret.
 */
export function redactPath(target: string): string {
  const end = target.search(/[?#;]|%(?:3f|23|3b)/i);
  return redact(end === -1 ? target : target.slice(0, end));
}
