import type { Case } from "./cases.ts";
import type { Instructions } from "./elsewhere.ts";
import { ALL_CASES, runCases } from "./suite.ts";

/** Set by who starts the script: a global in a page, a variable of the environment elsewhere. */
const told: unknown =
  Reflect.get(globalThis, "INSTRUCTIONS") ?? JSON.parse(globalThis.process?.env?.INSTRUCTIONS ?? "null");
const instructions = told as Instructions;
const { control, host, signIn } = instructions;

// Text, so that a browser asks nobody whether it may.
const tell = async (path: string, value: unknown) => {
  await fetch(`${control}${path}`, { method: "POST", body: JSON.stringify(value) });
};

// A page may ask its own registry only: the cases that need another are for another page.
const isPage = "document" in globalThis;
const isWanted = ({ needsSignIn = false, isForPages = true }: Case) =>
  isForPages && needsSignIn === (signIn !== null);
const cases = isPage ? ALL_CASES.filter(isWanted) : ALL_CASES;
await tell("/report", await runCases({ host, signIn, fault: (fault) => tell("/fault", fault) }, cases));
