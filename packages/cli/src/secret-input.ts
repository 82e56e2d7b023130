import { UsageError } from "./arguments.ts";
import type { Source } from "./world.ts";

/** Longest secret that is read, in bytes. */
const SECRET_BYTES_MAX = 4_096;

const ENTER = /[\r\n]/;
const CONTROL_C = "\u0003";
const CONTROL_D = "\u0004";
const ERASE = /[\b\u007f]/;

/** A secret from standard input, for example of a pipe; the end of its line does not belong to it. */
export async function readSecretFromInput(): Promise<string> {
  return await readSecret({ stream: () => Bun.stdin.stream() });
}

/** The same of another source. @throws UsageError when it is too long */
export async function readSecret(source: Pick<Source, "stream">): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of source.stream()) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > SECRET_BYTES_MAX)
      throw new UsageError(`the secret is longer than ${SECRET_BYTES_MAX} bytes`);
  }
  return text.replace(/\r?\n$/, "");
}

/** Asks twice, and shows nothing of what is typed; empty: nothing was. Ends the process at Ctrl-C. */
export async function askForSecret(prompt: string): Promise<string> {
  const first = await askOnce(prompt);
  if (first === "") return "";
  if ((await askOnce("once more: ")) !== first) throw new UsageError("the two are not the same");
  return first;
}

/** Asks once, and shows nothing of what is typed. Ends the process at Ctrl-C. */
export async function askOnce(prompt: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(prompt);
  stdin.setRawMode(true);
  stdin.resume();
  try {
    return await readTyped();
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}

function readTyped(): Promise<string> {
  const { stdin, stderr } = process;
  return new Promise((resolve) => {
    let text = "";
    const onData = (chunk: Buffer) => {
      for (const char of chunk.toString()) {
        if (char === CONTROL_C) {
          stdin.setRawMode(false);
          stderr.write("\n");
          process.exit(130);
        }
        if (ENTER.test(char) || char === CONTROL_D) {
          stdin.off("data", onData);
          resolve(text);
          return;
        }
        text = ERASE.test(char) ? [...text].slice(0, -1).join("") : text + char;
      }
    };
    stdin.on("data", onData);
  });
}
