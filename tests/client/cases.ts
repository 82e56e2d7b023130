import type { FaultKind } from "@stowage/server/testing";

/** What a case knows of where it runs: Bun, Node or a browser. Nothing here may need one of them. */
export interface Surroundings {
  /** A registry without sign-in, alone for the suite. */
  readonly host: string;
  /** Of a registry with `--auth accounts`; null: the cases that need one are run elsewhere. */
  readonly signIn: { readonly host: string; readonly username: string; readonly password: string } | null;
  /** Makes the next request of the registry go wrong. */
  fault(fault: RemoteFault): Promise<void>;
}

/** A fault as it can be sent; `path` is the source of an expression. */
export type RemoteFault = {
  readonly method?: string;
  readonly path?: string;
  readonly times?: number;
  readonly host?: string;
} & FaultKind;

export interface Case {
  readonly name: string;
  readonly needsSignIn?: boolean;
  /** False for what no browser can. */
  readonly isForPages?: boolean;
  run(surroundings: Surroundings): Promise<void>;
}

export function equal(got: unknown, wanted: unknown, what = "value"): void {
  const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${what} is ${a}; wanted ${b}`);
}

export function isTrue(condition: boolean, what: string): void {
  if (!condition) throw new Error(`not so: ${what}`);
}

/** The error that work ends with. */
export async function failureOf(work: Promise<unknown>): Promise<Readonly<Record<string, unknown>> & Error> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error) return error as Readonly<Record<string, unknown>> & Error;
    throw error;
  }
  throw new Error("it went well; wanted a failure");
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

let count = 0;

/** A name that no other case has. */
export function freshName(word: string): string {
  count += 1;
  return `client/${word}-${count}`;
}
