/**
 * Which of the records that a destination lacks can be sent to it again: those that the spool retains, that were
 * confirmed once, and that do not lie in the quarantine. Reads the spool; writes nothing.
 */

import type { RecordNumber } from '../spool/cursor.ts'
import type { Files } from '../spool/files.ts'
import { listSetAside, setAsideFolders, setAsideKinds } from '../spool/set-aside.ts'
import type { SequenceRange } from '../verify/reconcile.ts'
import { firstBehind, type OwnSpool, streamsIn } from './own-stream.ts'

export interface ResendPlan {
  /** Can be sent again. */
  readonly send: readonly SequenceRange[]
  /** Not delivered yet: delivery comes to them by itself. */
  readonly waiting: readonly SequenceRange[]
  /** The spool does not have them any more. */
  readonly gone: readonly SequenceRange[]
  /** Refused by the destination: a matter of `otel-audit quarantine`. */
  readonly quarantined: readonly SequenceRange[]
}

export interface MissingThere {
  /** The destination. */
  readonly name: string
  /** What it had confirmed before its copy was read: what came later may only have been on its way then. */
  readonly confirmed: RecordNumber | undefined
  readonly missing: readonly SequenceRange[]
}

/** Plans for a destination. Throws what reading a spool throws. */
export function planResend(files: Files, spool: OwnSpool, { name, confirmed, missing }: MissingThere): ResendPlan {
  const streams = streamsIn(files, spool)
  const retained = [...new Set(missing.map(({ stream }) => stream))].map((stream) => {
    const from = streams.includes(stream) ? firstSequence(files, spool, stream) : Number.POSITIVE_INFINITY
    return { stream, from, to: Number.POSITIVE_INFINITY }
  })
  const [there, gone] = split(missing, retained)
  const reached = streams.flatMap((stream): SequenceRange[] => reachOf(stream, streams, confirmed))
  const [delivered, waiting] = split(there, reached)
  const [quarantined, send] = split(delivered, setAside(files, spool.directory, name))
  return { send, waiting, gone, quarantined }
}

/** What of the ranges lies in the others, and what does not. */
export function split(
  ranges: readonly SequenceRange[],
  others: readonly SequenceRange[],
): [SequenceRange[], SequenceRange[]] {
  const [within, outside]: [SequenceRange[], SequenceRange[]] = [[], []]
  for (const { stream, from, to } of ranges) {
    let next = from
    const own = others.filter((other) => other.stream === stream).sort((one, other) => one.from - other.from)
    for (const other of own) {
      const [start, end] = [Math.max(next, other.from), Math.min(to, other.to)]
      if (start > end) continue
      if (start > next) outside.push({ stream, from: next, to: start - 1 })
      within.push({ stream, from: start, to: end })
      next = end + 1
    }
    if (next <= to) outside.push({ stream, from: next, to })
  }
  return [within, outside]
}

/** How far a stream was delivered: streams go in their order. */
function reachOf(stream: string, streams: readonly string[], confirmed: RecordNumber | undefined): SequenceRange[] {
  if (confirmed === undefined) return []
  if (stream === confirmed.stream) return [{ stream, from: 1, to: confirmed.sequence }]
  const isBefore = streams.indexOf(stream) < streams.indexOf(confirmed.stream)
  return isBefore ? [{ stream, from: 1, to: Number.POSITIVE_INFINITY }] : []
}

function firstSequence(files: Files, spool: OwnSpool, stream: string): number {
  const first = firstBehind(files, spool, { stream, sequence: 0 })
  return first?.stream === stream ? first.sequence : Number.POSITIVE_INFINITY
}

function setAside(files: Files, directory: string, name: string): SequenceRange[] {
  const folders = setAsideKinds.flatMap((kind) => setAsideFolders(files, directory, kind))
  const own = folders.filter(({ destination }) => destination === name)
  return own.flatMap(({ path }) => listSetAside(files, path).map(({ stream, from, to }) => ({ stream, from, to })))
}
