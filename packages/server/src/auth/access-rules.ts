import { RegistryError } from "@stowage/oci/errors";
import type { DocumentMetadata } from "../metadata/metadata.ts";
import type { AccessDocument } from "./access-document.ts";
import type { Identity } from "./caller.ts";
import { compileGrants, type Grants } from "./grants.ts";
import { Remembered } from "./remembered.ts";

/** Name of the document in the metadata store. */
const DOCUMENT = "access";

/** Characters of a mark. */
const MARK_LENGTH = 32;

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

/** A rule of the document. */
export type AccessRule = AccessDocument["rules"][number];

/** What the rules say of somebody. */
export interface Ruled {
  /** The names that were asked about, and their groups. */
  readonly principals: readonly string[];
  readonly grants: readonly Grants[];
}

/** Most callers whose part of the rules is at hand. */
const RULED_MAX = 1_024;

interface Compiled {
  readonly json: string | null;
  readonly document: AccessDocument;
  readonly byPrincipal: ReadonlyMap<string, readonly Grants[]>;
  /** Where the grants of a caller come from. */
  readonly rules: ReadonlyMap<Grants, AccessRule>;
  /** Groups of a member. */
  readonly groupsOf: ReadonlyMap<string, readonly string[]>;
  /** By the names that were asked about. */
  readonly ruled: Remembered<Ruled>;
}

/** The document, and the mark of its present state. */
export interface AccessVersion {
  readonly document: AccessDocument;
  /** Another document has another one. */
  readonly mark: string;
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

  async version(): Promise<AccessVersion> {
    const { document, json } = await this.#current();
    return { document, mark: markOf(json) };
  }

  /** @throws RegistryError REQUEST_INVALID with every problem of the document */
  async set(by: Identity, document: unknown): Promise<AccessVersion> {
    const { access, json } = await read(document);
    await this.#documents.put(DOCUMENT, json, by.name);
    return { document: access, mark: markOf(json) };
  }

  /**
   * Like `set`, if nobody has set another one since the state with that mark.
   * @throws RegistryError REQUEST_INVALID, CONFLICT
   */
  async replace(by: Identity, document: unknown, mark: string): Promise<AccessVersion> {
    const { access, json } = await read(document);
    const before = await this.#documents.find(DOCUMENT);
    const isFresh = markOf(before) === mark;
    if (!isFresh || !(await this.#documents.replace({ name: DOCUMENT, json, by: by.name }, before))) {
      throw new RegistryError("CONFLICT", {
        message: "somebody has changed the access rules meanwhile; read them again",
      });
    }
    return { document: access, mark: markOf(json) };
  }

  /** The rule in force that gives these grants of a caller; null: none, they are the account's own. */
  async ruleOf(grants: Grants): Promise<AccessRule | null> {
    return (await this.#current()).rules.get(grants) ?? null;
  }

  /** The principals with the groups that they are in, and what the rules give them. */
  async of(principals: readonly string[]): Promise<Ruled> {
    const compiled = await this.#current();
    const key = JSON.stringify(principals);
    const known = compiled.ruled.get(key);
    if (known !== undefined) return known;
    const ruled = ruledBy(compiled, principals);
    compiled.ruled.set(key, ruled);
    return ruled;
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

/** Each rule is compiled once, however many it is for. */
function compile(json: string | null, document: AccessDocument): Compiled {
  const rules = new Map(document.rules.map((rule) => [compileGrants([rule]), rule]));
  const byPrincipal = new Map<string, Grants[]>();
  for (const [grants, { who }] of rules) {
    for (const principal of who) append(byPrincipal, principal, grants);
  }
  const groupsOf = new Map<string, string[]>();
  for (const [group, members] of Object.entries(document.groups)) {
    for (const member of members) append(groupsOf, member, `group:${group}`);
  }
  return { json, document, byPrincipal, rules, groupsOf, ruled: new Remembered(RULED_MAX) };
}

function ruledBy({ byPrincipal, groupsOf }: Compiled, principals: readonly string[]): Ruled {
  const all = [...principals, ...principals.flatMap((principal) => groupsOf.get(principal) ?? [])];
  // A rule may name somebody twice, as one of a group and by name.
  const grants = new Set(all.flatMap((principal) => byPrincipal.get(principal) ?? []));
  return { principals: all, grants: [...grants] };
}

function append<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** @throws RegistryError REQUEST_INVALID with every problem of the document */
async function read(document: unknown): Promise<{ readonly access: AccessDocument; readonly json: string }> {
  const { parseAccess } = await import("./access-document.ts");
  const access = parseAccess(document);
  return { access, json: JSON.stringify(access) };
}

function markOf(json: string | null): string {
  return new Bun.CryptoHasher("sha256")
    .update(json ?? "")
    .digest("hex")
    .slice(0, MARK_LENGTH);
}
