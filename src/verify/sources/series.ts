/**
 * Several sources read one after the other as one: the closed files of an NDJSON file and the one being written. Places
 * name the file and the place in it.
 */

import type { Source } from '../source.ts'

/** `parts` in the order of their records. */
export function createSeriesSource(name: string, parts: readonly Source[]): Source {
  /** Where the positions of each part begin, as far as parts were begun. */
  const starts: number[] = []
  return {
    kind: 'ndjson',
    name: `${name} (${parts.length} files)`,
    ordered: true,
    beginsLater: false,
    locate(position) {
      const index = starts.findLastIndex((start) => start < position)
      const part = parts[index]
      return part === undefined ? `${position}` : `${part.name} ${part.locate(position - (starts[index] ?? 0))}`
    },
    async *read() {
      let end = 0
      for (const part of parts) {
        const start = end
        starts.push(start)
        for await (const group of part.read()) {
          yield group.map((one) => ({ ...one, position: one.position + start }))
          end = start + (group.at(-1)?.position ?? end - start)
        }
      }
    },
  }
}
