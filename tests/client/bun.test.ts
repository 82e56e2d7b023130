import { afterAll, test } from "bun:test";
import { SuiteRegistries } from "./registries.ts";
import { ALL_CASES } from "./suite.ts";

const registries = await SuiteRegistries.start();
afterAll(() => registries[Symbol.asyncDispose]());

for (const { name, run } of ALL_CASES) {
  test(`client on Bun: ${name}`, async () => {
    await run({
      host: registries.open.host,
      signIn: registries.signIn,
      fault: async (fault) => registries.addFault(fault),
    });
  });
}
