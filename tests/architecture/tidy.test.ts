import { expect, test } from "bun:test";
import { type SourceFile, sourceFiles } from "./source-files.ts";

const LINES_MAX = 500;

interface Ban {
  readonly pattern: RegExp;
  readonly instead: string;
  /** Where it is allowed, as the beginning of a path. */
  readonly except?: readonly string[];
}

/** What must not stand in the sources, and what to write instead. */
const BANS: readonly Ban[] = [
  {
    pattern: /\bconsole\./,
    instead: "the Log that comes in through the constructor",
    except: ["tests/", "bench/", "packages/server/src/metadata/metadata.test.ts"],
  },
  {
    pattern: /\bDate\.now\b|new Date\(\)/,
    instead: "the injected clock",
    except: [
      "tests/",
      "bench/",
      // The command is where the clock comes from, as for compose.ts and serve.ts.
      "packages/cli/src/",
      "packages/server/src/compose.ts",
      "packages/server/src/compose-auth.ts",
      "packages/server/src/metadata/metadata.test.ts",
      "packages/server/src/serve.ts",
    ],
  },
  {
    pattern: /\bMath\.random\b/,
    instead: "crypto.getRandomValues, or a seeded Random in tests",
    except: ["tests/", "bench/"],
  },
  {
    pattern: /\bnew URL\(req/,
    instead: "splitTarget: new URL throws for hostile Host headers",
    // Requests that these have made themselves, or of their own stand-ins.
    except: ["packages/cli/src/", "packages/client/src/", "tests/"],
  },
  {
    pattern: /\bprocess\.env\b/,
    instead: "config/settings.ts",
    // What the environment says is handed down from there.
    except: ["packages/cli/src/main.ts", "tests/", "bench/"],
  },
  { pattern: /:\s*any\s*[;,)=\]|}]|<any>|\bas any\b/, instead: "unknown and a parser" },
  { pattern: /@ts-(?:ignore|expect-error|nocheck)/, instead: "a type that fits" },
  { pattern: /\benum\s+[A-Z]/, instead: "a union of string literals" },
  { pattern: /\bTODO\b|\bFIXME\b|\bXXX\b/, instead: "doing it, or an issue" },
  {
    pattern: /from "node:crypto"/,
    instead: "Bun.CryptoHasher or Web Crypto",
    // The second implementation of signatures shares nothing with the first.
    except: ["bin/", "tests/support/schema1.ts"],
  },
  { pattern: /(?:utils|helpers|common|manager)\.ts"/, instead: "a name that says what it holds" },
];

function findings(file: SourceFile): readonly string[] {
  if (file.path === "tests/architecture/tidy.test.ts") return [];
  const lines = file.text.split("\n");
  const found =
    lines.length > LINES_MAX ? [`${file.path} has ${lines.length} lines; wanted at most ${LINES_MAX}`] : [];
  for (const { pattern, instead, except = [] } of BANS) {
    if (except.some((start) => file.path.startsWith(start))) continue;
    const at = lines.findIndex((line) => pattern.test(line));
    if (at !== -1) found.push(`${file.path}:${at + 1} has ${lines[at]?.trim()}; use ${instead}`);
  }
  return found;
}

test("sources keep to the house rules", async () => {
  const files = await sourceFiles("packages", "tests", "bench", "bin");
  expect(files.length).toBeGreaterThan(50);
  expect(files.flatMap(findings)).toEqual([]);
});
