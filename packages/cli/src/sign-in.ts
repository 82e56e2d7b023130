import { readText } from "@stowage/client/answers";
import type { Credentials } from "@stowage/client/credentials";
import { isObject } from "@stowage/oci/descriptor";
import type { Call } from "./command.ts";
import { openClient } from "./client.ts";

/** What a registry calls us to itself. */
const CLIENT_ID = "stowage";

/** Longest answer of a token endpoint, in bytes. */
const ANSWER_BYTES_MAX = 256 * 1024;

export interface SignedIn {
  /** What is to be kept: an identity token where the registry gives one, else what was typed. */
  readonly credentials: Credentials;
  /** False: the registry asked nobody who they are, so nothing was verified. */
  readonly isVerified: boolean;
}

/**
 * Signs in at a registry as `docker login` does: `/v2/` with what it wants to see, and a token that lasts when its token endpoint
 * gives one (Docker Registry v2 token specification, `offline_token`). @throws ClientError `unauthenticated` and others
 */
export async function signIn(call: Call, registry: string, credentials: Credentials): Promise<SignedIn> {
  let isVerified = false;
  let identityToken: string | null = null;
  const client = await openClient(call, [registry], {
    credentials: async () => {
      isVerified = true;
      return credentials;
    },
    around: (send) => async (sent) => {
      const url = new URL(sent.url);
      const asksForToken = sent.method === "GET" && url.searchParams.has("account");
      if (!asksForToken) return await send(sent);
      url.searchParams.set("offline_token", "true");
      url.searchParams.set("client_id", CLIENT_ID);
      const response = await send(new Request(url.href, sent));
      if (!response.ok) return response;
      const text = await readText(response, {
        bytesMax: ANSWER_BYTES_MAX,
        operation: `sign in to ${registry}`,
      });
      identityToken = refreshTokenIn(text);
      return new Response(text, response);
    },
  });
  await client.registry(registry).ping({ signal: call.signal });
  return {
    isVerified,
    credentials: identityToken === null ? credentials : { kind: "identity-token", token: identityToken },
  };
}

function refreshTokenIn(text: string): string | null {
  try {
    const answer: unknown = JSON.parse(text);
    const token = isObject(answer) ? answer.refresh_token : null;
    return typeof token === "string" && token !== "" ? token : null;
  } catch {
    return null;
  }
}
