/** Longest text of a log field, in characters. */
const LOG_FIELD_LENGTH_MAX = 1024;

export type LogLevel = "debug" | "info" | "warn" | "error";
export const LOG_LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Writes what is still gathered; for the moment before the process ends. */
  flush(): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "text" | "json";
  /** Takes whole lines. Called at most once per turn of the event loop. */
  readonly write: (lines: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * A log of one line per event: JSON, or text for a terminal. Control characters are escaped, so no client can
 * forge a line, and long fields are cut. Lines are written together at the end of the event loop's turn.
 */
export function createLog(options: LogOptions): Log {
  const format = options.format === "json" ? formatJson : formatText;
  const threshold = LOG_LEVELS.indexOf(options.level);
  let pending: string[] = [];
  function flush(): void {
    if (pending.length === 0) return;
    const lines = pending.join("");
    pending = [];
    options.write(lines);
  }
  function at(level: LogLevel): (message: string, fields?: LogFields) => void {
    if (LOG_LEVELS.indexOf(level) < threshold) return () => undefined;
    return (message, fields = {}) => {
      if (pending.length === 0) setImmediate(flush);
      pending.push(format(new Date(options.now()).toISOString(), level, message, fields));
    };
  }
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), flush };
}

function formatJson(time: string, level: LogLevel, message: string, fields: LogFields): string {
  // By hand: every request writes a line, and an object made for JSON.stringify takes longer.
  let line = `{"time":"${time}","level":"${level}","message":${JSON.stringify(cut(message))}`;
  for (const key in fields) {
    const value = fields[key];
    if (value === undefined) continue;
    line += `,"${key}":${typeof value === "string" ? JSON.stringify(cut(value)) : toJson(value)}`;
  }
  return `${line}}\n`;
}

/** Keys are ours; numbers that JSON has no word for are null, as JSON.stringify has it. */
function toJson(value: number | boolean | null): string {
  return typeof value === "number" && !Number.isFinite(value) ? "null" : String(value);
}

function formatText(time: string, level: LogLevel, message: string, fields: LogFields): string {
  let line = `${time} ${level.padEnd(5)} ${message}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined || value === null) continue;
    const text = String(cut(value));
    line += ` ${key}=${/^[\w./:@-]+$/.test(text) ? text : JSON.stringify(text)}`;
  }
  return `${line}\n`;
}

function cut(value: unknown): unknown {
  if (typeof value !== "string" || value.length <= LOG_FIELD_LENGTH_MAX) return value;
  return `${value.slice(0, LOG_FIELD_LENGTH_MAX)}…`;
}

/** What is worth logging of something that was thrown: the texts of the error and of its causes. */
export function describeError(error: unknown): string {
  const texts: string[] = [];
  for (let at: unknown = error; at !== undefined && texts.length < 5;) {
    texts.push(at instanceof Error ? `${at.name}: ${at.message}` : String(at));
    at = at instanceof Error ? at.cause : undefined;
  }
  return texts.join("; caused by ");
}
