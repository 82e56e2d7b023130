// `npm test`: every suite. Names of groups may follow, for example `npm test -- compat`.
import { join } from "node:path";
import { ROOT, runBun } from "./launch.mjs";

runBun([join(ROOT, "tests", "all.ts"), ...process.argv.slice(2)]);
