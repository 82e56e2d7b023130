#!/usr/bin/env node
// The launcher of every command: `bin/stowage.mjs serve --addr 127.0.0.1:5001`.
import { join } from "node:path";
import { ROOT, runBun } from "./launch.mjs";

runBun([join(ROOT, "packages", "cli", "src", "main.ts"), ...process.argv.slice(2)]);
