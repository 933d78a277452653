/** A trail whose ids say when their records were sealed: a record a second, and one that has waited for most of an hour. */

import { type Keys, TrailWriter } from './trail.ts'

export interface TimedTrail {
  readonly lines: readonly string[]
  idOf(sequence: number): string
  readonly stray: { readonly id: string; readonly sequence: number }
}

/** A checkpoint after every 149 records. */
export function makeTimedTrail(options: { stream: string; keys: Keys; records: number }): TimedTrail {
  const { stream, keys, records } = options
  const stray = { id: idAt(5, 1), sequence: 901 }
  const idOf = (sequence: number): string => idAt(sequence * 1_000, sequence)
  const writer = new TrailWriter(stream, keys).open()
  for (let sequence = 2; sequence <= records; sequence += 1) {
    if (sequence % 150 === 0) writer.checkpoint()
    else writer.seal({ id: sequence === stray.sequence ? stray.id : idOf(sequence) })
  }
  return { lines: writer.lines, idOf, stray }
}

/** `sealedMs` after the trail begins. */
function idAt(sealedMs: number, number: number): string {
  const made = (Date.UTC(2026, 0, 2, 3, 4, 5) + sealedMs).toString(16).padStart(12, '0')
  return `${made.slice(0, 8)}-${made.slice(8)}-7000-8000-${String(number).padStart(12, '0')}`
}
