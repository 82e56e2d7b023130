import { requirePlaces } from "../arguments.ts";
import { EXIT } from "../exit-codes.ts";
import { formatTable } from "../table.ts";
import { type AdminCall, type AdminNoun, type Entry, textOf } from "./admin-command.ts";

export const KEY: AdminNoun = {
  help: "keys that sign the tokens of the token endpoint; they rotate by themselves",
  commands: {
    list: { places: "", help: "print those whose tokens are accepted", run: list },
    rotate: {
      places: "",
      help: "sign with a new key from now on",
      options: { "revoke-all": { value: null, help: "refuse every token that was signed so far" } },
      run: rotate,
    },
  },
  examples: ["admin key list", "admin key rotate --revoke-all"],
};

async function list({ call, args, print }: AdminCall): Promise<number> {
  requirePlaces(args, { wanted: [] });
  printKeys(print, await call("GET", "/keys"));
  return EXIT.ok;
}

async function rotate({ call, args, print, say }: AdminCall): Promise<number> {
  requirePlaces(args, { wanted: [] });
  const revokeAll = args.has("revoke-all");
  const answer = await call("POST", "/keys/rotate", { revokeAll });
  say(
    revokeAll ? "every token that was signed so far is refused" : "tokens that were signed so far stay good",
  );
  printKeys(print, answer);
  return EXIT.ok;
}

function printKeys(print: AdminCall["print"], answer: unknown): void {
  const { keys } = answer as { readonly keys: readonly Entry[] };
  const rows = keys.map((key) =>
    ["kid", "createdAt", "signsUntil", "verifiesUntil"].map((member) => textOf(key, member)),
  );
  const head = ["KEY", "CREATED", "SIGNS UNTIL", "ACCEPTED UNTIL"];
  print(
    keys,
    () => formatTable(head, rows),
    () => keys.map((key) => textOf(key, "kid")),
  );
}
