import { expect, test } from "bun:test";
import { posix } from "node:path";
import { importsOf, type SourceFile, sourceFiles } from "./source-files.ts";

/** Packages, and what each may import of the others: `oci <- client <- server <- cli`. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  oci: [],
  client: ["oci"],
  server: ["oci", "client"],
  cli: ["oci", "client", "server"],
};

/**
 * Rooms of the server, and the rooms that each may use. A room not listed here is a mistake. `compose.ts` and
 * `serve.ts` stand outside: the first constructs every backend, the second listens.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  observe: [],
  auth: ["metadata"],
  net: [],
  config: ["net", "observe"],
  blobstore: [],
  "blobstore/filesystem": ["blobstore"],
  metadata: ["blobstore"],
  "metadata/sql": ["metadata", "blobstore"],
  "metadata/sqlite": ["metadata", "metadata/sql", "blobstore"],
  registry: ["auth", "metadata", "blobstore"],
  http: ["auth", "net", "observe", "registry", "http/v2", "http/api", "http/oidc", "http/ops", "http/token"],
  "http/v2": ["auth", "registry", "http"],
  "http/api": ["auth", "registry", "http"],
  "http/oidc": ["auth", "http"],
  "http/token": ["auth", "http"],
  "http/ops": ["registry"],
  listen: ["http", "net", "observe"],
  // Not part of the registry: it starts one for tests.
  testing: [".", "config", "http"],
  // An independent look at what lies in a data folder: it shares nothing with the rooms that wrote it.
  maintenance: [],
  jobs: ["auth", "metadata", "blobstore", "observe", "registry"],
};

/** Ports may be named from outside their room; backends only by `compose.ts`. */
const PORTS: Readonly<Record<string, readonly string[]>> = {
  blobstore: ["blob-store.ts"],
  metadata: ["metadata.ts"],
};

const SERVER = "packages/server/src/";

interface Edge {
  readonly from: string;
  readonly to: string;
}

function edgesOf(file: SourceFile): readonly Edge[] {
  return importsOf(file).flatMap((specifier) => {
    if (specifier.startsWith("."))
      return [{ from: file.path, to: posix.join(posix.dirname(file.path), specifier) }];
    const match = /^@stowage\/([a-z]+)\/(.+)$/.exec(specifier);
    return match === null ? [] : [{ from: file.path, to: `packages/${match[1]}/src/${match[2]}.ts` }];
  });
}

const roomOf = (path: string): string => posix.dirname(path.slice(SERVER.length));
const packageOf = (path: string): string => path.split("/")[1] ?? "";
const isTest = (path: string): boolean => /(?:\.test|\/conformance(?:-[a-z]+)?)\.ts$/.test(path);

const files = (await sourceFiles("packages")).filter((file) => !isTest(file.path));
const edges = files.flatMap(edgesOf);

test("packages depend in one direction", () => {
  const wrong = edges.filter(({ from, to }) => {
    const [source, target] = [packageOf(from), packageOf(to)];
    return source !== target && PACKAGES[source]?.includes(target) !== true;
  });
  expect(wrong).toEqual([]);
});

test("the vocabulary imports nothing but itself", () => {
  const outside = files
    .filter((file) => file.path.startsWith("packages/oci/"))
    .flatMap((file) =>
      importsOf(file)
        .filter((name) => !posix.join(posix.dirname(file.path), name).startsWith("packages/oci/"))
        .map((to) => ({ from: file.path, to })),
    );
  expect(outside).toEqual([]);
});

test("the client runs anywhere: only its node entry knows a runtime", () => {
  const runtime = files
    .filter((file) => file.path.startsWith("packages/client/") && !file.path.includes("/src/node/"))
    .flatMap((file) =>
      importsOf(file)
        .filter(
          (name) => !name.startsWith("./") && !name.startsWith("../") && !name.startsWith("@stowage/oci/"),
        )
        .map((to) => ({ from: file.path, to })),
    );
  expect(runtime).toEqual([]);
});

test("rooms of the server use only what is below them", () => {
  const wrong = edges.filter(({ from, to }) => {
    if (!from.startsWith(SERVER) || !to.startsWith(SERVER)) return false;
    const [source, target] = [roomOf(from), roomOf(to)];
    return source !== "." && source !== target && ROOMS[source]?.includes(target) !== true;
  });
  expect(wrong).toEqual([]);
});

test("stores are reached through their ports", () => {
  const wrong = edges.filter(({ from, to }) => {
    if (!from.startsWith(SERVER) || !to.startsWith(SERVER) || roomOf(from) === ".") return false;
    const room = roomOf(to).split("/")[0] ?? "";
    const ports = PORTS[room];
    return (
      ports !== undefined &&
      !roomOf(from).startsWith(room) &&
      !ports.includes(to.slice(SERVER.length + room.length + 1))
    );
  });
  expect(wrong).toEqual([]);
});

test("every room of the server is in the plan", () => {
  const rooms = new Set(
    files.filter((file) => file.path.startsWith(SERVER)).map((file) => roomOf(file.path)),
  );
  rooms.delete(".");
  expect([...rooms].filter((room) => ROOMS[room] === undefined)).toEqual([]);
});

test("no file imports itself, however long the way", () => {
  const next = new Map<string, string[]>();
  for (const { from, to } of edges) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  function findCycle(path: readonly string[]): readonly string[] | null {
    const at = path.at(-1) ?? "";
    if (path.indexOf(at) < path.length - 1) return path.slice(path.indexOf(at));
    if (done.has(at)) return null;
    for (const to of next.get(at) ?? []) {
      const cycle = findCycle([...path, to]);
      if (cycle !== null) return cycle;
    }
    done.add(at);
    return null;
  }
  // The route table names its handlers; types of the table are what the matcher needs of it.
  for (const file of files) expect(findCycle([file.path])).toBeNull();
});
