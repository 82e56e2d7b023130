import { z } from "zod";
import type { Api } from "./api-request.ts";
import { answer, describe } from "./describe.ts";

const WhoAmI = z
  .object({
    name: z.string().nullable().meta({ description: "null: anybody" }),
    credential: z.object({ kind: z.string(), id: z.string().nullable() }),
    isAdmin: z.boolean(),
    isLimited: z.boolean().meta({ description: "the token may less than its account" }),
    principals: z.array(z.string()).meta({ description: "what access rules may name the caller by" }),
    auth: z.boolean().meta({ description: "false: nobody has to sign in, everybody may do everything" }),
    scopes: z
      .array(z.object({ type: z.string(), name: z.string(), actions: z.array(z.string()) }))
      .optional()
      .meta({ description: "of a registry token" }),
  })
  .meta({ id: "WhoAmI" });

export function addWhoAmIRoute(api: Api): void {
  api.get(
    "/whoami",
    describe({ id: "whoAmI", tag: "self", summary: "Who asks, as the registry sees it", answer: WhoAmI }),
    (context) => {
      const { caller, auth } = context.env.exchange;
      const { name, credential, isAdmin, principals, scopes, limit } = caller;
      return answer(WhoAmI, {
        name,
        credential: { kind: credential.kind, id: credential.id },
        isAdmin,
        isLimited: limit !== null || scopes !== null,
        principals: [...principals],
        auth: auth !== null,
        ...(scopes === null
          ? {}
          : {
              scopes: scopes.map(({ type, name: of, actions }) => ({
                type,
                name: of,
                actions: [...actions],
              })),
            }),
      });
    },
  );
}
