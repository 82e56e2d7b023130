import type { App } from "../http/app.ts";

/** What shall go wrong. It befalls the next `times` requests (once by default) that `method` and `path` fit. */
export type Fault = {
  readonly method?: string;
  /** Of the path, without the query. */
  readonly path?: RegExp;
  readonly times?: number;
} & FaultKind;

export type FaultKind =
  /** This answer instead of the registry's. */
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** The answer comes that much later, in milliseconds. */
  | { readonly kind: "delay"; readonly ms: number }
  /** The answer's body breaks off after so many bytes. */
  | { readonly kind: "cut"; readonly bytes: number }
  /** The answer's body has a wrong byte at this place. */
  | { readonly kind: "corrupt"; readonly at: number }
  /** The registry sees so many bytes of the request's body, and the client sees 502. */
  | { readonly kind: "cut-upload"; readonly bytes: number };

/** Faults of a registry under test, in the order in which they were added. */
export class Faults {
  #pending: { readonly fault: Fault; left: number }[] = [];

  add(fault: Fault): void {
    this.#pending.push({ fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#pending = [];
  }

  /** The registry, with what shall go wrong. */
  around(app: App): App {
    return async (request, connection) => {
      const fault = this.#take(request);
      switch (fault?.kind) {
        case undefined:
          return await app(request, connection);
        case "answer":
          await request.body?.cancel();
          return new Response(fault.body ?? "", { status: fault.status, headers: { ...fault.headers } });
        case "delay":
          await Bun.sleep(fault.ms);
          return await app(request, connection);
        case "cut":
          return changeBody(await app(request, connection), () => cutAfter(fault.bytes));
        case "corrupt":
          return changeBody(await app(request, connection), () => corruptAt(fault.at));
        case "cut-upload": {
          const cut = request.body?.pipeThrough(cutAfter(fault.bytes)) ?? null;
          const { url, method, headers } = request;
          await app(new Request(url, { method, headers, body: cut }), connection);
          return new Response("", { status: 502 });
        }
        default:
          return fault satisfies never;
      }
    };
  }

  #take(request: Request): Fault | null {
    const path = request.url.replace(/^[a-z]+:\/\/[^/]*/, "").replace(/\?.*$/s, "");
    const found = this.#pending.find(
      ({ fault: { method, path: pattern } }) =>
        (method === undefined || method === request.method) && (pattern === undefined || pattern.test(path)),
    );
    if (found === undefined) return null;
    found.left -= 1;
    if (found.left <= 0) this.#pending = this.#pending.filter((other) => other !== found);
    return found.fault;
  }
}

function changeBody(response: Response, change: () => TransformStream<Uint8Array, Uint8Array>): Response {
  const { status, headers } = response;
  return new Response(response.body?.pipeThrough(change()) ?? null, { status, headers });
}

/** Lets so many bytes pass and then fails, which closes the connection in the middle of the body. */
function cutAfter(bytes: number): TransformStream<Uint8Array, Uint8Array> {
  let left = bytes;
  return new TransformStream({
    transform(piece, controller) {
      const part = piece.subarray(0, left);
      left -= part.byteLength;
      if (part.byteLength > 0) controller.enqueue(part);
      if (left === 0) controller.error(new Error("cut off, as the test wants"));
    },
  });
}

function corruptAt(at: number): TransformStream<Uint8Array, Uint8Array> {
  let seen = 0;
  return new TransformStream({
    transform(piece, controller) {
      const copy = piece.slice();
      const inside = at - seen;
      seen += piece.byteLength;
      const byte = copy[inside];
      if (byte !== undefined) copy[inside] = byte ^ 0xff;
      controller.enqueue(copy);
    },
  });
}
