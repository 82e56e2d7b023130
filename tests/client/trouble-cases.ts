import { RegistryClient, readBlob, defaultFetch, traced } from "@stowage/client";
import { type Case, equal, failureOf, freshName, isTrue } from "./cases.ts";
import { blobOf, noise, opener, pushImage, putBlob } from "./images.ts";

const READ = { bytesMax: 10_000_000 };

export const TROUBLE_CASES: readonly Case[] = [
  {
    name: "a wrong byte on the way is a mismatch",
    async run({ host, fault }) {
      const repository = new RegistryClient().repository(`${host}/${freshName("corrupt")}`);
      const blob = blobOf(noise(500_000, 4));
      await putBlob(repository, blob);
      await fault({ kind: "corrupt", at: 400_000, method: "GET", path: blob.digest });
      const failure = await failureOf(readBlob(repository, blob, READ));
      equal([failure.kind, failure.wanted], ["mismatch", blob.digest]);
    },
  },
  {
    name: "a wrong byte in a manifest that is asked for by digest is a mismatch",
    async run({ host, fault }) {
      const repository = new RegistryClient().repository(`${host}/${freshName("corrupt-manifest")}`);
      const { manifest } = await pushImage(repository, { tag: "1.0" });
      await fault({ kind: "corrupt", at: 20, method: "GET", path: "/manifests/" });
      equal((await failureOf(repository.getManifest(manifest.digest))).kind, "mismatch");
    },
  },
  {
    name: "a blob of another size than its descriptor says is a mismatch",
    async run({ host }) {
      const repository = new RegistryClient({ retriesMax: 1 }).repository(`${host}/${freshName("size")}`);
      const blob = blobOf(noise(5_000, 6));
      await putBlob(repository, blob);
      equal((await failureOf(readBlob(repository, { ...blob, size: 4_999 }, READ))).kind, "mismatch");
      isTrue(
        ["network", "refused"].includes(
          String((await failureOf(readBlob(repository, { ...blob, size: 5_001 }, READ))).kind),
        ),
        "longer than it is",
      );
    },
  },
  {
    name: "a download that breaks off goes on where it broke",
    async run({ host, fault }) {
      let reads = 0;
      const client = new RegistryClient({
        fetch: traced(defaultFetch, ({ method }) => {
          if (method === "GET") reads += 1;
        }),
      });
      const repository = client.repository(`${host}/${freshName("cut")}`);
      const blob = blobOf(noise(3_000_000, 8));
      await putBlob(repository, blob);
      await fault({ kind: "cut", bytes: 1_000_000, method: "GET", path: blob.digest });
      const bytes = await readBlob(repository, blob, READ);
      equal(blobOf(bytes).digest, blob.digest);
      // The second one is for a part, unless the server lost what it had when it hung up.
      equal(reads, 2, "number of requests");
    },
  },
  {
    name: "an upload that breaks off goes on where the registry has it",
    async run({ host, fault }) {
      const methods: string[] = [];
      const client = new RegistryClient({
        fetch: traced(defaultFetch, ({ method }) => methods.push(method)),
      });
      const repository = client.repository(`${host}/${freshName("cut-upload")}`);
      const blob = blobOf(noise(3_000_000, 12));
      await fault({ kind: "cut-upload", bytes: 1_500_000, method: "PUT", path: "/blobs/uploads/" });
      const counted: number[] = [];
      await repository.putBlob(blob, opener(blob), { onBytes: (bytes) => counted.push(bytes) });
      equal(
        counted.reduce((sum, bytes) => sum + bytes, 0),
        blob.size,
        "bytes told",
      );
      equal(blobOf(await readBlob(repository, blob, READ)).digest, blob.digest);
      isTrue(methods.includes("GET"), "it asked how far it came");
    },
  },
  {
    name: "an upload of bytes that are others ends as a mismatch and leaves nothing",
    async run({ host }) {
      const repository = new RegistryClient().repository(`${host}/${freshName("liar")}`);
      const [wanted, others] = [blobOf("these bytes"), blobOf("other bytes")];
      equal((await failureOf(repository.putBlob(wanted, opener(others)))).kind, "mismatch");
      equal(await repository.headBlob(wanted.digest), null);
    },
  },
  {
    name: "a registry that is busy is asked again, as long after as it wants",
    async run({ host, fault }) {
      const client = new RegistryClient();
      await fault({ kind: "answer", status: 429, headers: { "Retry-After": "1" }, path: "^/v2/$" });
      await fault({ kind: "answer", status: 503, path: "^/v2/$" });
      const waited: number[] = [];
      const clock = { now: () => 0, wait: async (ms: number) => void waited.push(ms) };
      await new RegistryClient({ clock }).registry(host).ping();
      isTrue(
        waited.length === 2 && (waited[0] ?? 0) >= 1_000 && (waited[1] ?? 0) < 1_000,
        `pauses ${waited}`,
      );
      await client.registry(host).ping();
    },
  },
  {
    name: "a registry that stays busy is an error that says so, and how long it wants to be left alone",
    async run({ host, fault }) {
      const body = JSON.stringify({ errors: [{ code: "TOOMANYREQUESTS", message: "come again" }] });
      await fault({ kind: "answer", status: 429, headers: { "Retry-After": "3600" }, body, path: "^/v2/$" });
      const failure = await failureOf(new RegistryClient().registry(host).ping());
      equal([failure.kind, failure.code, failure.retryAfterSeconds], ["limited", "TOOMANYREQUESTS", 3_600]);
      isTrue(failure.message.includes("come again (TOOMANYREQUESTS, 429)"), failure.message);
    },
  },
  {
    name: "answers without reason, or with a page of a proxy, are errors with their status",
    async run({ host, fault }) {
      await fault({
        kind: "answer",
        status: 502,
        body: "<html>bad gateway</html>",
        path: "^/v2/$",
        times: 1,
      });
      const failure = await failureOf(new RegistryClient({ retriesMax: 0 }).registry(host).ping());
      equal([failure.kind, failure.status, failure.code], ["server", 502, null]);
      await fault({ kind: "answer", status: 200, body: "<html>welcome</html>", path: "/tags/list" });
      const tags = new RegistryClient().repository(`${host}/any/name`).tags();
      equal((await failureOf(tags.next())).kind, "server");
    },
  },
  {
    name: "what nobody answers is a network error that names the host",
    async run() {
      const failure = await failureOf(new RegistryClient({ retriesMax: 0 }).registry("127.0.0.1:9").ping());
      equal(failure.kind, "network");
      isTrue(failure.message.includes("127.0.0.1:9"), failure.message);
    },
  },
  {
    name: "a signal ends a download, an upload and a wait with its own reason",
    async run({ host, fault }) {
      const repository = new RegistryClient().repository(`${host}/${freshName("abort")}`);
      const blob = blobOf(noise(200_000, 14));
      await putBlob(repository, blob);
      const stop = new AbortController();
      const reason = new Error("enough");
      await fault({ kind: "answer", status: 429, headers: { "Retry-After": "30" }, path: blob.digest });
      const work = failureOf(readBlob(repository, blob, { ...READ, signal: stop.signal }));
      setTimeout(() => stop.abort(reason), 50);
      equal((await work).message, "enough");
      equal(
        (await failureOf(repository.putBlob(blob, opener(blob), { signal: stop.signal }))).message,
        "enough",
      );
    },
  },
  {
    name: "a registry's warnings are told once",
    async run({ host, fault }) {
      const warnings: string[] = [];
      const client = new RegistryClient({ onWarning: ({ text }) => warnings.push(text) });
      const headers = { Warning: '299 - "this tag is \\"old\\"", 299 - "quota at 90 %"' };
      await fault({ kind: "answer", status: 200, headers, path: "^/v2/$", times: 2 });
      await client.registry(host).ping();
      await client.registry(host).ping();
      equal(warnings, ['this tag is "old"', "quota at 90 %"]);
    },
  },
];
