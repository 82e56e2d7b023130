import type { Credentials } from "@stowage/client/credentials";
import { UsageError } from "../arguments.ts";
import type { Call, Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { storeOf } from "../client.ts";
import { requireHost } from "../registry-host.ts";
import { askOnce, readSecret } from "../secret-input.ts";
import { signIn } from "../sign-in.ts";

export const LOGIN: Command = {
  about:
    "Signs in to a registry and keeps that where docker and podman look for it as well. The password is asked for, or comes from standard input: what stands in arguments can be read by every process of the machine. Where the registry gives an identity token, that is kept, and not the password.",
  places: [{ name: "HOST", completes: "registry" }],
  options: {
    "token-stdin": {
      value: null,
      help: "read a token from standard input, which is sent as it is (Bearer)",
    },
  },
  shared: ["registry"],
  examples: [
    { line: "login localhost:5000 -u ann --password-stdin < password.txt" },
    { line: "login localhost:5000", untested: "it asks for name and password at the terminal" },
    { line: "login registry.example.com --token-stdin < token.txt", untested: "there is no such registry" },
  ],
  run: runLogin,
};

async function runLogin(call: Call): Promise<number> {
  const registry = requireHost(call.args.places[0] ?? "");
  const given = await credentialsFor(call, registry);
  const { credentials, isVerified } = await signIn(call, registry, given);
  const { where, isEncrypted } = await storeOf(call).put(registry, credentials);
  const name = given.kind === "password" ? ` as ${given.username}` : "";
  if (!isVerified) call.warn(`warning: ${registry} asks nobody to sign in; nothing was verified`);
  if (!isEncrypted) {
    const what = credentials.kind === "password" ? "the password" : "a token";
    call.warn(
      `warning: ${where} has ${what} that anybody can use who reads the file; a credential helper keeps it encrypted`,
    );
  }
  call.say(`signed in to ${registry}${name}; kept by ${where}`);
  return EXIT.ok;
}

async function credentialsFor({ args, world }: Call, registry: string): Promise<Credentials> {
  if (args.has("token-stdin")) {
    if (args.has("username") || args.has("password-stdin"))
      throw new UsageError("--token-stdin excludes --username and --password-stdin");
    const token = await readSecret(world.stdin);
    if (!/^[!-~]+$/.test(token)) throw new UsageError("standard input has no token");
    return { kind: "registry-token", token };
  }
  const username = args.get("username") ?? world.env.STOWAGE_USERNAME ?? "";
  if (args.has("password-stdin")) {
    if (username === "") throw new UsageError("--password-stdin needs --username");
    return password(username, await readSecret(world.stdin));
  }
  const { STOWAGE_PASSWORD: known = "" } = world.env;
  if (username !== "" && known !== "") return password(username, known);
  if (!world.stdin.isTerminal)
    throw new UsageError("nobody can be asked for a password here; wanted --username and --password-stdin");
  const name = username === "" ? askName(registry) : username;
  return password(name, await askOnce(`password of ${name} at ${registry}: `));
}

function password(username: string, secret: string): Credentials {
  if (username.includes(":")) throw new UsageError(`--username is "${username}"; a name has no colon`);
  if (secret === "") throw new UsageError("the password is empty");
  return { kind: "password", username, password: secret };
}

function askName(registry: string): string {
  const name = prompt(`name at ${registry}:`) ?? "";
  if (name === "") throw new UsageError("no name was typed");
  return name;
}
