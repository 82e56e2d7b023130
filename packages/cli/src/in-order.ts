/** Works on a few entries at once, and yields what comes of them in their order. Ends at the first failure. */
export async function* inOrder<T, R>(
  entries: AsyncIterable<T> | Iterable<T>,
  { jobs, work }: { readonly jobs: number; readonly work: (entry: T) => Promise<R> },
): AsyncGenerator<R, void, void> {
  const running: Promise<R>[] = [];
  for await (const entry of entries) {
    const result = work(entry);
    // It is waited for below; until then nobody else looks whether it failed.
    result.catch(() => undefined);
    running.push(result);
    if (running.length < jobs) continue;
    const [first] = running.splice(0, 1);
    if (first !== undefined) yield await first;
  }
  for (const result of running) yield await result;
}
