// The pinned Bun, for scripts of this workspace.
import { runBun } from "./launch.mjs";

runBun(process.argv.slice(2));
