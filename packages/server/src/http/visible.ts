import type { RepositoryName } from "@stowage/oci/repository-name";
import type { Exchange } from "./exchange.ts";

/**
 * Which repositories the caller sees in listings; null: all of them, those of the future included.
 *
 * The door has asked whether the caller may list. A registry token says that by its scope `registry:catalog:*`, and
 * names no repositories, so what is listed is what its account may pull: the scopes are taken away for this question.
 */
export function visibleTo({
  caller,
  authorize,
}: Pick<Exchange, "caller" | "authorize">): ((repository: RepositoryName) => boolean) | null {
  const account = { ...caller, scopes: null };
  const maySee = (repository: RepositoryName | null) =>
    authorize({ caller: account, action: "pull", repository });
  return maySee(null) ? null : maySee;
}

/**
 * Whether the caller may know what other repositories have. How much a deletion frees says it, blob by blob: who guesses a
 * blob and pushes it would learn whether a repository that is hidden from them has it.
 */
export function seesEverything(exchange: Pick<Exchange, "caller" | "authorize">): boolean {
  return visibleTo(exchange) === null;
}
