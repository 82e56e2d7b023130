import { parseRepositoryName } from "@stowage/oci/repository-name";
import type { Matcher } from "./match.ts";

/** Segments as tutorials and fingers spell them, and how the registry's paths do. */
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ["blob", "blobs"],
  ["catalog", "_catalog"],
  ["manifest", "manifests"],
  ["referrer", "referrers"],
  ["tag", "tags"],
  ["upload", "uploads"],
]);

/** Segments from the right end that are looked at: what is before them is a repository's name, whatever it says. */
const SEGMENTS_MAX = 3;

/**
 * The template of the path that was meant, for one that no route has: `/v2/<name>/tags/list` for `/v2/app/tag/list`. It
 * is told and not served: what works here alone is no use to whoever wrote it down, and `app/tag` may be a repository.
 * Says nothing of what is in the registry, so it needs no right.
 */
export function nearMiss(path: string, matcher: Matcher): string | null {
  const segments = path.split("/").filter((segment) => segment !== "");
  for (const candidate of candidates(segments)) {
    const match = matcher.match(`/${candidate.join("/")}`);
    const isName = match !== null && (match.rawName === "" || parseRepositoryName(match.rawName) !== null);
    if (isName) return match.template;
  }
  return null;
}

/** Spelled right from the end on, one segment more each time; and a list that is only called `tags`. */
function* candidates(segments: readonly string[]): Generator<readonly string[]> {
  const spelled = [...segments];
  for (let at = segments.length - 1; at >= Math.max(1, segments.length - SEGMENTS_MAX); at--) {
    const right = SPELLINGS.get(segments[at] ?? "");
    if (right === undefined) continue;
    spelled[at] = right;
    yield spelled;
  }
  if (spelled.at(-1) === "tags") yield [...spelled, "list"];
}
