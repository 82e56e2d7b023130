#!/usr/bin/env node
// The launcher of every command: `bin/stowage.mjs serve --addr 127.0.0.1:5001`.
import { basename, join } from "node:path";
import { ROOT, runBun } from "./launch.mjs";

// Under this name docker runs a credential helper.
const isHelper = basename(process.argv[1] ?? "").startsWith("docker-credential-");
const words = isHelper ? ["auth", "helper", ...process.argv.slice(2)] : process.argv.slice(2);

runBun([join(ROOT, "packages", "cli", "src", "main.ts"), ...words]);
