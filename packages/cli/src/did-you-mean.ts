/** Letters that may be wrong in a word that was meant. */
const DISTANCE_MAX = 2;

/** The candidate that somebody may have meant, or null. */
export function didYouMean(word: string, candidates: readonly string[]): string | null {
  const [best] = candidates
    .map((candidate) => ({ candidate, distance: distanceOf(word, candidate) }))
    .filter(({ candidate, distance }) => distance <= Math.min(DISTANCE_MAX, candidate.length - 1))
    .toSorted((a, b) => a.distance - b.distance);
  return (
    best?.candidate ?? candidates.find((candidate) => word.length > 2 && candidate.startsWith(word)) ?? null
  );
}

/** Levenshtein's distance. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let at = 1; at <= a.length; at++) {
    const next = [at];
    for (let other = 1; other <= b.length; other++) {
      const change = (row[other - 1] ?? 0) + (a[at - 1] === b[other - 1] ? 0 : 1);
      next.push(Math.min(change, (row[other] ?? 0) + 1, (next[other - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
