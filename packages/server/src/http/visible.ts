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
 * Whether nothing is hidden from the caller: only then may it be told whether other repositories have a blob, too. Whoever
 * pushes one could find out else what is in those that are hidden. A registry token is for the repositories that it names.
 */
export function seesEverything({ caller, authorize }: Pick<Exchange, "caller" | "authorize">): boolean {
  return authorize({ caller, action: "pull", repository: null });
}
