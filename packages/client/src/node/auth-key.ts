/** Docker Hub as old and new clients write it; all of them mean `docker.io`. */
const HUB_HOSTS: readonly string[] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/** Key under which docker keeps what it signs in to Docker Hub with: it is older than the names of registries. */
export const HUB_KEY = "https://index.docker.io/v1/";

/** Components of a repository whose keys are looked for; deeper ones share the key above them. */
const COMPONENTS_MAX = 32;

/** A key of `auths`, `credHelpers` or a helper, or a registry as somebody typed it, in the one spelling that is compared. */
export function normalizeAuthKey(key: string): string {
  const bare = key.replace(/^https?:\/\//i, "");
  const slash = bare.indexOf("/");
  const host = normalizeHost(slash === -1 ? bare : bare.slice(0, slash));
  const path = slash === -1 ? "" : bare.slice(slash);
  // Old dockers wrote an address, `https://host/v1/`, whose path is of the API; podman writes `host/namespace`.
  const isAddress = bare !== key || path === "/" || /^\/v[12]\/$/.test(path);
  return isAddress ? host : `${host}${path}`;
}

/** Keys that are good for a repository, or the registry alone: the most special one first (containers-auth.json(5)). */
export function authKeysFor(registry: string, repository: string | null): readonly string[] {
  const base = normalizeAuthKey(registry);
  const components = repository === null ? [] : repository.split("/").slice(0, COMPONENTS_MAX);
  return [...components.keys()]
    .map((at) => `${base}/${components.slice(0, at + 1).join("/")}`)
    .toReversed()
    .concat(base);
}

/** How a file and a helper want to have the registry called. */
export function storedAuthKey(registry: string): string {
  const key = normalizeAuthKey(registry);
  return key === "docker.io" ? HUB_KEY : key;
}

function normalizeHost(host: string): string {
  const lower = host.toLowerCase();
  return HUB_HOSTS.includes(lower) ? "docker.io" : lower;
}
