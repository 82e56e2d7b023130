import type { Ran } from "./command.ts";

/** Runs a command line as somebody typed it, with nothing in the environment but `env` and the path. */
export async function shell(line: string, env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const child = Bun.spawn(["sh", "-c", line], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env.PATH ?? "", ...env },
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, stdout, stderr };
}

export interface HttpAnswer {
  /** `HTTP/1.1 200 OK` */
  readonly statusLine: string;
  readonly headers: Headers;
  readonly body: string;
}

/** What `curl -i` printed. */
export function answerOf(text: string): HttpAnswer {
  const end = text.indexOf("\r\n\r\n");
  const [statusLine = "", ...lines] = text.slice(0, end).split("\r\n");
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return { statusLine, headers, body: text.slice(end + 4) };
}
