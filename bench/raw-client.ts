/**
 * A connection that sends requests as they are and waits for each answer: it costs so little that what is measured
 * is the server and not its client.
 */
export class RawClient implements Disposable {
  readonly #socket: Bun.Socket;
  #received = "";
  #answered: ((status: number) => void) | null = null;

  private constructor(socket: Bun.Socket) {
    this.#socket = socket;
  }

  static async connect(url: string): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    let client: RawClient | null = null;
    const decoder = new TextDecoder("latin1");
    const socket = await Bun.connect({
      hostname,
      port: Number(port),
      socket: { data: (_socket, data) => client?.receive(decoder.decode(data)) },
    });
    client = new RawClient(socket);
    return client;
  }

  /** One GET at a time; resolves with the status. */
  async get(path: string, headers: readonly string[] = []): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#answered = resolve;
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers.map((line) => `${line}\r\n`).join("")}\r\n`,
    );
    return await promise;
  }

  receive(text: string): void {
    this.#received += text;
    const end = this.#received.indexOf("\r\n\r\n");
    if (end === -1) return;
    const length = Number(/^content-length: *(\d+)/im.exec(this.#received.slice(0, end))?.[1] ?? 0);
    if (this.#received.length < end + 4 + length) return;
    const status = Number(this.#received.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length));
    this.#received = this.#received.slice(end + 4 + length);
    const answered = this.#answered;
    this.#answered = null;
    answered?.(status);
  }

  [Symbol.dispose](): void {
    this.#socket.terminate();
  }
}
