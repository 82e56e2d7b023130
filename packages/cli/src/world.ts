/** Where text and bytes go. */
export interface Sink {
  readonly isTerminal: boolean;
  /** Columns of the terminal; 80 where none is. */
  readonly columns: number;
  readonly rows: number;
  write(data: string | Uint8Array): void;
  /** Resolves when everything is written. */
  flush(): Promise<void>;
  /** Called before each write of a terminal: what is drawn there for the time being makes room. */
  beforeWrite?: (() => void) | undefined;
}

/** What is around the process: everything that a test has to put something else in place of. */
export interface World {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeDir: string;
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly stdin: Source;
  /** The runtime's fetch, with the options that Bun has. */
  readonly fetch: (request: Request, options: BunFetchRequestInit) => Promise<Response>;
  /** Time of the day in milliseconds. */
  readonly now: () => number;
  /** Aborted by signals; from the first call on they do not end the process at once. */
  readonly signal: () => AbortSignal;
}

export interface Source {
  readonly isTerminal: boolean;
  stream(): ReadableStream<Uint8Array<ArrayBuffer>>;
}
