/** Lets other requests come in between two steps of something that takes many. */
export async function breathe(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
