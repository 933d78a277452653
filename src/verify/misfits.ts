/**
 * Pairs holes with what stands in their place. A record whose number, stream or form was destroyed leaves a hole
 * in its stream and a misfit elsewhere: together they are one finding, CONTENT_TAMPERED, where the misfit stands
 * between the hole's neighbours or its carrier still says where it belongs. What is left over is MISSING, INSERTED.
 */

import type { FindingLog } from './finding-log.ts'
import type { Link } from './link.ts'
import type { Place, Source } from './source.ts'

/** Sequences of which no record was found: `from` to `to`, inclusive. */
export interface Hole {
  readonly stream: string
  from: number
  to: number
  /** The leaf hash that belongs at `to`, when the record above names it. */
  expected: string | undefined
  /** Positions of the records on both sides; -1 and infinity where there is none. */
  readonly after: number
  before: number
  /** The only record above the hole, which may be a stray. */
  above?: Link
  /** Made only by a stray that belongs elsewhere, or only for what may stand in it: no finding by itself. */
  isVoid?: boolean
}

/** Something found that has no place in any stream. */
export interface Misfit {
  readonly position: number
  readonly reason: string
  readonly stream?: string | undefined
  readonly sequence?: number | undefined
  readonly place?: Place | undefined
  readonly found?: string | undefined
  readonly expected?: string | undefined
  /** The record itself, if it stands alone: it is a misfit only if a hole claims it. */
  readonly stray?: Link
  readonly whenClaimed?: () => void
}

export interface Leftovers {
  readonly holes: readonly Hole[]
  readonly misfits: readonly Misfit[]
}

/** Logs every hole, or part of one, that something explains; returns the holes and misfits that stay as they are. */
export function pairMisfits({ holes, misfits }: Leftovers, context: PairContext): Leftovers {
  const unclaimed = new Set(misfits)
  const open = holes.flatMap((hole) => {
    // A stray does not explain the hole that it made itself.
    const here = [...unclaimed].filter(({ stray }) => stray === undefined || stray !== hole.above)
    const placed = here.filter(({ place }) => isPlaceIn(hole, place))
    const claimed = placed.length > 0 ? placed : here.filter((misfit) => standsIn(hole, misfit, context.source))
    for (const misfit of claimed) {
      unclaimed.delete(misfit)
      misfit.whenClaimed?.()
    }
    if (claimed.length === 0) return [hole]
    return placed.length > 0 ? explainByPlace(hole, placed, context) : explainByPosition(hole, claimed, context)
  })
  return { holes: open, misfits: [...unclaimed].filter(({ stray }) => stray === undefined) }
}

export interface PairContext {
  readonly log: FindingLog
  readonly source: Source
}

/** The carrier says of each misfit which record it was: what none of them was stays a hole. */
function explainByPlace(hole: Hole, placed: readonly Misfit[], context: PairContext): Hole[] {
  const rest: Hole[] = []
  let from = hole.from
  const bySequence = new Map(placed.map((misfit) => [misfit.place?.sequence ?? 0, misfit]))
  for (const [sequence, misfit] of [...bySequence].sort(([one], [other]) => one - other)) {
    if (from < sequence) rest.push({ ...hole, from, to: sequence - 1, expected: undefined })
    logTampered({ ...hole, from: sequence, to: sequence }, misfit, context)
    from = sequence + 1
  }
  if (from <= hole.to) rest.push({ ...hole, from })
  return rest
}

/** Only the place is left to go by: whatever stands between the neighbours is what became of the records. */
function explainByPosition(hole: Hole, [first]: readonly Misfit[], context: PairContext): Hole[] {
  if (first !== undefined) logTampered(hole, first, context)
  return []
}

function logTampered(
  { stream, from, to, expected }: Hole,
  { found, position, reason }: Misfit,
  { log, source }: PairContext,
): void {
  const isOne = from === to
  log.add({
    verdict: 'CONTENT_TAMPERED',
    stream,
    ...(isOne ? { sequence: from } : { from, to }),
    ...(isOne && expected !== undefined && { expected }),
    ...(found !== undefined && { found }),
    where: source.locate(position),
    detail: `what stands in its place is no longer this record: ${reason}`,
  })
}

/** Whether a misfit stands between the hole's neighbours; without an order, only what says nothing of itself can. */
function standsIn({ after, before }: Hole, { position, place, stream }: Misfit, { ordered }: Source): boolean {
  if (ordered) return after < position && position < before
  return place === undefined && stream === undefined && after <= position && position <= before
}

function isPlaceIn({ stream, from, to }: Hole, place: Place | undefined): boolean {
  return place?.stream === stream && from <= place.sequence && place.sequence <= to
}
