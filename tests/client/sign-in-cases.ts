import {
  copy,
  type Credentials,
  RegistryClient,
  requestRegistryToken,
  defaultFetch,
  traced,
} from "@stowage/client";
import { type Case, equal, failureOf, freshName, type Surroundings } from "./cases.ts";
import { pushImage } from "./images.ts";

function signedIn(surroundings: Surroundings, exchanges: string[] = []) {
  const { signIn } = surroundings;
  if (signIn === null) throw new Error("the case needs a registry with accounts");
  const credentials: Credentials = { kind: "password", username: signIn.username, password: signIn.password };
  const client = new RegistryClient({
    credentials: async (registry) => (registry === signIn.host ? credentials : null),
    fetch: traced(defaultFetch, ({ method, url }) => exchanges.push(`${method} ${url}`)),
  });
  return { client, host: signIn.host, signIn };
}

export const SIGN_IN_CASES: readonly Case[] = [
  {
    name: "who may is signed in without being told to, and pushes and pulls",
    needsSignIn: true,
    async run(surroundings) {
      const { client, host } = signedIn(surroundings);
      const repository = client.repository(`${host}/${freshName("private")}`);
      const { manifest } = await pushImage(repository, { tag: "1.0" });
      equal((await repository.getManifest("1.0"))?.digest, manifest.digest);
    },
  },
  {
    name: "requests at the same time share one question for a token",
    needsSignIn: true,
    async run(surroundings) {
      const exchanges: string[] = [];
      const { client, host } = signedIn(surroundings, exchanges);
      const repository = client.repository(`${host}/${freshName("shared")}`);
      await Promise.all(Array.from({ length: 10 }, () => repository.getManifest("absent")));
      await repository.getManifest("absent");
      equal(exchanges.filter((line) => line.includes("/token")).length, 1, "questions for a token");
    },
  },
  {
    name: "a mount asks for the rights of both repositories in one token",
    needsSignIn: true,
    async run(surroundings) {
      const exchanges: string[] = [];
      const { client, host } = signedIn(surroundings, exchanges);
      const source = client.repository(`${host}/${freshName("mount-from")}`);
      const target = client.repository(`${host}/${freshName("mount-to")}`);
      await pushImage(source, { tag: "1.0" });
      exchanges.length = 0;
      equal((await copy(source, "1.0", target, { tags: ["1.0"] })).blobs.mounted, 3);
      const refused = exchanges.filter((line) => line.includes("/token"));
      equal(refused.length <= 3, true, `few questions for tokens: ${refused.join(", ")}`);
    },
  },
  {
    name: "a wrong password, and nobody, are unauthenticated",
    needsSignIn: true,
    async run(surroundings) {
      const { host, signIn } = signedIn(surroundings);
      const wrong = new RegistryClient({
        credentials: async () => ({ kind: "password", username: signIn.username, password: "no" }),
      });
      equal((await failureOf(wrong.registry(host).ping())).kind, "unauthenticated");
      equal(
        (await failureOf(new RegistryClient().repository(`${host}/a/b`).getManifest("x"))).kind,
        "unauthenticated",
      );
    },
  },
  {
    name: "a token is sent as it is, and an identity token is exchanged",
    needsSignIn: true,
    async run(surroundings) {
      const { client, host, signIn } = signedIn(surroundings);
      const token = await requestRegistryToken(client.connection(host), []);
      const withToken = new RegistryClient({
        credentials: async () => ({ kind: "registry-token", token: token ?? "" }),
      });
      await withToken.registry(host).ping();
      const query = new URLSearchParams({
        service: host,
        account: signIn.username,
        client_id: "test",
        offline_token: "true",
      });
      const authorization = `Basic ${btoa(`${signIn.username}:${signIn.password}`)}`;
      const answer = await fetch(`http://${host}/token?${query}`, {
        headers: { Authorization: authorization },
      });
      const { refresh_token: refresh } = (await answer.json()) as { refresh_token: string };
      const withIdentity = new RegistryClient({
        credentials: async () => ({ kind: "identity-token", token: refresh }),
      });
      const repository = withIdentity.repository(`${host}/${freshName("identity")}`);
      await pushImage(repository, { tag: "1.0" });
    },
  },
];
