/** Suggestions for mistyped words: the known word that is fewest edits away. */

/** The candidate nearest to `word`, when it is near enough to be meant: two edits (one swap), or a third of its letters. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, edits: editDistance(word, candidate) }))
    .filter(({ candidate, edits }) => edits <= Math.max(2, Math.ceil(candidate.length / 3)))
  return ranked.sort((left, right) => left.edits - right.edits)[0]?.candidate
}

/** Levenshtein distance, one row at a time. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1]
    for (const [at, other] of [...to].entries()) {
      const [insert = 0, remove = 0, replace = 0] = [next[at], row[at + 1], row[at]]
      next.push(Math.min(insert + 1, remove + 1, replace + (letter === other ? 0 : 1)))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
