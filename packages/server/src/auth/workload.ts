import { claimAt } from "./claims.ts";
import { type JwtClaims, type JwtRefusal, parseJwt, type VerificationKey, verifyJwt } from "./jwt.ts";
import type { FetchJson } from "./outbound.ts";
import { RemoteKeys } from "./remote-keys.ts";
import type { Workload, WorkloadRule } from "./workload-document.ts";

/** Longest name of a caller, in characters. */
const NAME_LENGTH_MAX = 255;

/** A token that was issued longer ago is not accepted, however long its issuer meant it to live, in seconds. */
const AGE_SECONDS_MAX = 24 * 3_600;

/** How far an issuer's clock may be off, in seconds. */
const LEEWAY_SECONDS = 60;

export interface WorkloadGrant {
  /** Globs. */
  readonly repositories: readonly string[];
  /** Rights and roles. */
  readonly may: readonly string[];
}

export interface AdmittedWorkload {
  readonly ok: true;
  /** `workload:<trust>:<sub>`, cut to 255 characters. */
  readonly name: string;
  readonly issuer: string;
  readonly grants: readonly WorkloadGrant[];
  /** When the token ends, in milliseconds since 1970: nothing that is given for it should last longer. */
  readonly expiresAt: number;
}

export interface RefusedWorkload {
  readonly ok: false;
  readonly reason: JwtRefusal | "unknown-issuer" | "too-old" | "no-rule";
}

export type WorkloadVerdict = AdmittedWorkload | RefusedWorkload;

export interface WorkloadTrustOptions {
  readonly workloads: readonly Workload[];
  readonly fetchJson: FetchJson;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
  /** Called with what to log when an issuer does not answer as it should. */
  readonly report: (problem: string) => void;
}

interface Trusted {
  readonly workload: Workload;
  keysOf(kid: string | null): readonly VerificationKey[] | Promise<readonly VerificationKey[]>;
}

/**
 * Lets in those whom an issuer elsewhere vouches for: a pipeline's job, a pod. Its token is a bearer token for as long as
 * it lives; whoever has it may use it again.
 */
export class WorkloadTrust {
  readonly #trusted: readonly Trusted[];
  readonly #now: () => number;

  constructor(options: WorkloadTrustOptions) {
    this.#trusted = options.workloads.map((workload) => trust(workload, options));
    this.#now = options.now;
  }

  /** Never throws. */
  async exchange(token: string): Promise<WorkloadVerdict> {
    const parsed = parseJwt(token);
    if (parsed === null) return { ok: false, reason: "malformed" };
    // Only chooses whom to ask; each of them then looks for its own name in what is signed.
    const candidates = this.#trusted.filter(({ workload }) => workload.issuer === parsed.payload.iss);
    let refusal: RefusedWorkload = { ok: false, reason: "unknown-issuer" };
    for (const candidate of candidates) {
      const verdict = await this.#judge(token, candidate);
      if (verdict.ok) return verdict;
      // What the one says for whom the token is meant tells more than that the others are not meant.
      if (refusal.reason === "unknown-issuer" || verdict.reason !== "audience") refusal = verdict;
    }
    return refusal;
  }

  async #judge(token: string, { workload, keysOf }: Trusted): Promise<WorkloadVerdict> {
    const { issuer, audience } = workload;
    const verdict = await verifyJwt(token, {
      keyOf: keysOf,
      issuer,
      audience,
      now: this.#now,
      leewaySeconds: LEEWAY_SECONDS,
      lifetimeSecondsMax: Number.POSITIVE_INFINITY,
    });
    if (!verdict.ok) return verdict;
    const { claims } = verdict;
    if (this.#now() - claims.iat * 1_000 > AGE_SECONDS_MAX * 1_000) return { ok: false, reason: "too-old" };
    const name = nameOf(workload, claims);
    if (name === null) return { ok: false, reason: "claims" };
    const grants = workload.rules.flatMap((rule) => grantOf(rule, claims));
    if (grants.length === 0) return { ok: false, reason: "no-rule" };
    return { ok: true, name, issuer, grants, expiresAt: claims.exp * 1_000 };
  }
}

function trust(workload: Workload, options: WorkloadTrustOptions): Trusted {
  const { jwks, issuer } = workload;
  if (jwks !== null && typeof jwks !== "string") {
    return {
      workload,
      keysOf: (kid) => jwks.filter((key) => kid === null || key.kid === null || key.kid === kid),
    };
  }
  const { fetchJson, monotonic, report } = options;
  const place =
    jwks === null ? ({ kind: "discovery", issuer } as const) : ({ kind: "jwks", url: jwks } as const);
  const keys = new RemoteKeys({ place, fetchJson, monotonic, report });
  return { workload, keysOf: (kid) => keys.keysOf(kid) };
}

function nameOf({ name }: Workload, { sub }: JwtClaims): string | null {
  if (sub === undefined || sub === "" || /\p{Cc}/u.test(sub)) return null;
  return `workload:${name}:${sub}`.slice(0, NAME_LENGTH_MAX).toWellFormed();
}

/** What a rule gives to a token; nothing when one of its claims is different, or no repository is left. */
function grantOf(
  { claims: wanted, repositories, may }: WorkloadRule,
  claims: JwtClaims,
): readonly WorkloadGrant[] {
  if (!wanted.every(({ path, test }) => test(claimAt(claims, path)))) return [];
  const globs = repositories.flatMap((template) => template.fill(claims) ?? []);
  return globs.length === 0 ? [] : [{ repositories: globs, may }];
}
