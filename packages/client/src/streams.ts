/** A stream of what a generator yields; cancelling it ends the generator. */
export function streamOf(
  pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream(
    {
      async pull(controller) {
        const next = await pieces.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      cancel: async () => {
        await pieces.return();
      },
    },
    // What nobody asked for yet is not read ahead.
    { highWaterMark: 0 },
  );
}

/** The pieces of a stream; leaving early cancels it. */
export async function* piecesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const reader = stream.getReader();
  let isAtEnd = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        isAtEnd = true;
        return;
      }
      yield value;
    }
  } finally {
    // A stream that failed cannot be cancelled, and needs not be.
    if (!isAtEnd) await reader.cancel().catch(() => undefined);
  }
}
