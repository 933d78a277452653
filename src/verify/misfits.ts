/**
 * Pairs holes with what stands in their place. A record whose number, stream or form was destroyed leaves a hole
 * in its stream and a misfit elsewhere: together they are one finding, CONTENT_TAMPERED, where the misfit stands
 * between the hole's neighbours or its carrier still says where it belongs. What is left over is MISSING, INSERTED.
 */

import type { FindingLog } from './finding-log.ts'
import type { Hole } from './judge.ts'
import type { Place, Source } from './source.ts'

/** Something found that has no place in any stream. */
export interface Misfit {
  readonly position: number
  readonly reason: string
  readonly stream?: string | undefined
  readonly sequence?: number | undefined
  readonly place?: Place | undefined
  readonly found?: string | undefined
  readonly expected?: string | undefined
  /** For a record that stands alone: it is a misfit only if a hole claims it, and then this is called. */
  readonly whenClaimed?: () => void
}

export interface Leftovers {
  readonly holes: readonly Hole[]
  readonly misfits: readonly Misfit[]
}

/** Logs every hole that something explains; returns the holes and misfits that stay as they are. */
export function pairMisfits(
  { holes, misfits }: Leftovers,
  { log, source }: { log: FindingLog; source: Source },
): Leftovers {
  const unclaimed = new Set(misfits)
  const open = holes.filter((hole) => {
    const claimed = [...unclaimed].filter((misfit) => belongsTo(misfit, hole, source.ordered))
    const first = claimed[0]
    if (first === undefined) return true
    for (const misfit of claimed) {
      unclaimed.delete(misfit)
      misfit.whenClaimed?.()
    }
    const { stream, from, to, expected } = hole
    const range = from === to ? { sequence: from } : { from, to }
    log.add({
      verdict: 'CONTENT_TAMPERED',
      stream,
      ...range,
      ...(expected !== undefined && from === to && { expected }),
      ...(first.found !== undefined && { found: first.found }),
      where: source.locate(first.position),
      detail: `what stands in its place is no longer this record: ${first.reason}`,
    })
    return false
  })
  return { holes: open, misfits: [...unclaimed].filter(({ whenClaimed }) => whenClaimed === undefined) }
}

function belongsTo({ position, place, stream, sequence }: Misfit, hole: Hole, ordered: boolean): boolean {
  if (stream === hole.stream && sequence === hole.above?.sequence && position === hole.above?.position) return false
  if (place?.stream === hole.stream && hole.from <= place.sequence && place.sequence <= hole.to) return true
  return ordered && hole.after < position && position < hole.before
}
