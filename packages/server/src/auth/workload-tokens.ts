import { RegistryError } from "@stowage/oci/errors";
import type { DocumentMetadata } from "../metadata/metadata.ts";
import type { Accounts } from "./accounts.ts";
import type { ForeignTokens } from "./authenticate.ts";
import type { Caller, Identity } from "./caller.ts";
import { WorkloadTrust, type WorkloadTrustOptions } from "./workload.ts";
import type { WorkloadsDocument } from "./workload-document.ts";

/** Name of the document in the metadata store. */
const DOCUMENT = "workloads";

/** Problems that an answer names. */
const PROBLEMS_SHOWN_MAX = 20;

export interface WorkloadTokensOptions extends Omit<WorkloadTrustOptions, "workloads"> {
  readonly documents: DocumentMetadata;
  readonly accounts: Accounts;
}

/** Callers by the JSON Web Tokens of the issuers that administrators trust: jobs of a pipeline, pods. */
export class WorkloadTokens implements ForeignTokens {
  readonly #options: WorkloadTokensOptions;
  #current: { readonly json: string; readonly trust: Promise<WorkloadTrust> } | null = null;

  constructor(options: WorkloadTokensOptions) {
    this.#options = options;
  }

  async caller(text: string): Promise<Caller | null> {
    const json = await this.#options.documents.find(DOCUMENT);
    if (json === null) return null;
    // Keys of issuers are kept with the trust: a new one is made only for another document.
    if (this.#current?.json !== json) this.#current = { json, trust: this.#trust(json) };
    const verdict = await (await this.#current.trust).exchange(text);
    if (!verdict.ok) {
      this.#options.report(`a workload's token was refused: ${verdict.reason}`);
      return null;
    }
    const { name, grants } = verdict;
    const credential = { kind: "workload", id: null } as const;
    return await this.#options.accounts.guest({ name, credential, principals: [], grants });
  }

  async document(): Promise<WorkloadsDocument> {
    const json = await this.#options.documents.find(DOCUMENT);
    return json === null ? [] : (JSON.parse(json) as WorkloadsDocument);
  }

  /** @throws RegistryError REQUEST_INVALID with every problem of the document */
  async set(by: Identity, document: unknown): Promise<void> {
    const { parseWorkloads } = await import("./workload-document.ts");
    const parsed = await parseWorkloads(document);
    if (!parsed.ok) {
      const problems = parsed.problems.slice(0, PROBLEMS_SHOWN_MAX).join("; ");
      throw new RegistryError("REQUEST_INVALID", { message: `invalid trusted issuers: ${problems}` });
    }
    await this.#options.documents.put(DOCUMENT, JSON.stringify(document), by.name);
  }

  /** What cannot be read trusts nobody: a newer release may have written it. */
  async #trust(json: string): Promise<WorkloadTrust> {
    const { parseWorkloads } = await import("./workload-document.ts");
    const parsed = await parseWorkloads(JSON.parse(json));
    if (!parsed.ok) this.#options.report(`the trusted issuers cannot be read: ${parsed.problems.join("; ")}`);
    return new WorkloadTrust({ ...this.#options, workloads: parsed.ok ? parsed.workloads : [] });
  }
}
