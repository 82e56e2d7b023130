import { parse, type SemVer } from "semver";
import type { TagDetails, TagSort } from "./tag-details.ts";

/** The order of names; by anything but semver they are compared as text. */
export function byName(sort: TagSort): (a: string, b: string) => number {
  if (sort !== "semver") return compareText;
  return (a, b) => {
    const [one, other] = [versionOf(a), versionOf(b)];
    if (one === null || other === null)
      return Number(one === null) - Number(other === null) || compareText(a, b);
    return one.compare(other) || compareText(a, b);
  };
}

/** Of tags such as `v1.2.3`, and of shorter ones: `1.25-alpine` counts as 1.25.0-alpine. Null: it is no version. */
function versionOf(tag: string): SemVer | null {
  const [, major, minor = "0", patch = "0", rest = ""] =
    /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?([-+][0-9A-Za-z.+-]+)?$/.exec(tag) ?? [];
  return major === undefined ? null : parse(`${major}.${minor}.${patch}${rest}`, { loose: true });
}

/** Largest and newest first. */
export function byDetails(sort: TagSort): (a: TagDetails, b: TagDetails) => number {
  const names = byName(sort);
  const order = (a: TagDetails, b: TagDetails): number => {
    if (sort === "size") return (b.size ?? 0) - (a.size ?? 0);
    return sort === "pushed" ? compareText(b.pushedAt ?? "", a.pushedAt ?? "") : 0;
  };
  return (a, b) => order(a, b) || names(a.name, b.name);
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
