import { runGate } from "./gate.ts";

// `bun run ok`: what must hold before every commit, in under a minute.
const { failed } = await runGate();
process.exit(failed === 0 ? 0 : 1);
