import { apiReferenceFiles, inWorkspace } from "./api-reference.ts";

// `npm run docs:api`: writes docs/api.md and the answers in it anew.
for (const [path, text] of Object.entries(await apiReferenceFiles())) {
  await Bun.write(inWorkspace(path), text);
  process.stdout.write(`wrote ${path}\n`);
}
