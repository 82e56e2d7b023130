import type { DocumentMetadata } from "../metadata/metadata.ts";
import type { AccessDocument } from "./access-document.ts";
import type { Identity } from "./caller.ts";
import { compileGrants, type Grant, type Grants } from "./grants.ts";

/** Name of the document in the metadata store. */
const DOCUMENT = "access";

/** Group of everybody in the htpasswd file. */
export const HTPASSWD_GROUP = "group:htpasswd";

/**
 * What holds until somebody sets rules: who is in the htpasswd file may work, as with registry:2. Accounts of the
 * metadata store get nothing that nobody gave them.
 */
export const DEFAULT_ACCESS: AccessDocument = {
  groups: {},
  rules: [{ who: [HTPASSWD_GROUP], repositories: ["**"], may: ["maintainer"] }],
};

interface Compiled {
  readonly json: string | null;
  readonly document: AccessDocument;
  readonly byPrincipal: ReadonlyMap<string, Grants>;
  /** Groups of a member. */
  readonly groupsOf: ReadonlyMap<string, readonly string[]>;
}

/** The access rules in force. */
export class AccessRules {
  readonly #documents: DocumentMetadata;
  #compiled: Compiled = compile(null, DEFAULT_ACCESS);

  constructor(documents: DocumentMetadata) {
    this.#documents = documents;
  }

  async document(): Promise<AccessDocument> {
    return (await this.#current()).document;
  }

  /** @throws RegistryError REQUEST_INVALID with every problem of the document */
  async set(by: Identity, document: unknown): Promise<AccessDocument> {
    const { parseAccess } = await import("./access-document.ts");
    const access = parseAccess(document);
    await this.#documents.put(DOCUMENT, JSON.stringify(access), by.name);
    return access;
  }

  /** The principals with the groups that they are in, and what the rules give them. */
  async of(
    principals: readonly string[],
  ): Promise<{ readonly principals: readonly string[]; readonly grants: readonly Grants[] }> {
    const { byPrincipal, groupsOf } = await this.#current();
    const all = [...principals, ...principals.flatMap((principal) => groupsOf.get(principal) ?? [])];
    return { principals: all, grants: all.flatMap((principal) => byPrincipal.get(principal) ?? []) };
  }

  /** Asked at every request, so each text is compiled once. */
  async #current(): Promise<Compiled> {
    const json = await this.#documents.find(DOCUMENT);
    if (json === this.#compiled.json) return this.#compiled;
    // It was checked when it was set; what a newer release wrote gives no rights that this one does not know.
    const document = json === null ? DEFAULT_ACCESS : (JSON.parse(json) as AccessDocument);
    this.#compiled = compile(json, document);
    return this.#compiled;
  }
}

function compile(json: string | null, document: AccessDocument): Compiled {
  const grants = new Map<string, Grant[]>();
  for (const { who, ...grant } of document.rules) {
    for (const principal of who) grants.set(principal, [...(grants.get(principal) ?? []), grant]);
  }
  const groupsOf = new Map<string, string[]>();
  for (const [group, members] of Object.entries(document.groups)) {
    for (const member of members) groupsOf.set(member, [...(groupsOf.get(member) ?? []), `group:${group}`]);
  }
  const byPrincipal = new Map([...grants].map(([principal, given]) => [principal, compileGrants(given)]));
  return { json, document, byPrincipal, groupsOf };
}
