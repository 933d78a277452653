/**
 * The path of segments as far as it can be told in a damaged spool: where a header is bad or a file is missing, the
 * reading goes on with the next lower number, and a hole is noted. Damage is never an error.
 */

import type { ControlState } from './control.ts'
import type { Files } from './files.ts'
import type { SpoolPosition } from './format.ts'
import { withoutFirstOpenings } from './leftovers.ts'
import { type Damage, newerVersion, segmentPath } from './refusals.ts'
import { listSegments, type PathSegment, readSegmentHeader } from './segment.ts'
import type { SegmentHeader } from './segment-header.ts'

/** A segment on the path. */
export interface FoundSegment extends PathSegment {
  /** The segment before it on the path is not the one that it names: that one is missing or cannot be read. */
  readonly isBehindHole: boolean
}

export interface LenientPath {
  /** Oldest first. */
  readonly path: readonly FoundSegment[]
  readonly damage: readonly Damage[]
  /** Numbers of all segment files. */
  readonly all: readonly number[]
  /** Segments that nothing leads to: void, or parted from the path by damage. */
  readonly aside: readonly number[]
}

export interface PathStart {
  /** What control says, where it can be read. */
  readonly state: ControlState | undefined
  /** The durable position that control tells of. */
  readonly known: SpoolPosition | undefined
  /** Nothing above the known position is looked at: a writer is making it. */
  readonly isLive: boolean
}

type Sound = Omit<PathSegment, 'length'>

/** Reads all headers. Throws `SPOOL_VERSION` for one of a later format, and what the file system throws. */
export function readLenientPath(files: Files, directory: string, start: PathStart): LenientPath {
  const { state, known, isLive } = start
  const damage: Damage[] = []
  const sound = new Map<number, Sound>()
  const all = listSegments(files, directory)
  const own =
    state === undefined ? all : withoutFirstOpenings(files, directory, { segments: all, spoolId: state.spoolId })
  const numbers = isLive ? own.filter((number) => number <= (known?.segment ?? number)) : own
  for (const segment of numbers) {
    const decoded = readSegmentHeader(files, directory, segment)
    if (!decoded.ok && decoded.newer) {
      throw newerVersion(segmentPath(directory, segment), decoded.reason)
    }
    const what = decoded.ok ? strangeness(decoded.header, state) : decoded.reason
    if (decoded.ok && what === undefined) sound.set(segment, decoded)
    else if (segment >= (state?.firstSegment ?? 0)) damage.push({ ...fault(decoded.ok, what), segment })
  }
  const path = walkBack(numbers, { sound, ...start }, damage)
  const live = new Set(path.map(({ header }) => header.segment))
  return { path, damage, all, aside: all.filter((number) => !live.has(number)) }
}

/** Without control the path ends where a header leads nowhere: what is below is reclaimed, or cannot be told from that. */
function walkBack(
  numbers: readonly number[],
  { sound, state, known }: PathStart & { sound: ReadonlyMap<number, Sound> },
  damage: Damage[],
): FoundSegment[] {
  const path: FoundSegment[] = []
  const first = state?.firstSegment ?? 1
  let length: number | undefined
  for (let segment = Math.max(0, ...numbers, known?.segment ?? 0); segment >= first && segment > 0; ) {
    const found = sound.get(segment)
    if (found !== undefined) {
      path.unshift({ ...found, length, isBehindHole: false })
      length = found.header.kind === 'explicit' ? found.header.previousLength : undefined
      segment = found.header.previous
      continue
    }
    const lower = numbers.findLast((number) => number < segment) ?? 0
    if (!numbers.includes(segment) && (state !== undefined || lower > 0)) {
      damage.push({ kind: 'missing', segment, what: 'the file is missing' })
    }
    if (state === undefined && path.length > 0) return path
    noteHole(path)
    length = undefined
    segment = lower
  }
  const lowest = path[0]?.header.segment
  if (state === undefined || lowest === undefined || lowest === first || path[0]?.isBehindHole) return path
  noteHole(path)
  damage.push({ kind: 'missing', segment: first, what: `control begins with it, but the segments lead to ${lowest}` })
  return path
}

function noteHole(path: FoundSegment[]): void {
  const [above] = path
  if (above !== undefined) path[0] = { ...above, isBehindHole: true }
}

/** Why a segment whose header is whole does not belong here. */
function strangeness(header: SegmentHeader, state: ControlState | undefined): string | undefined {
  if (header.previous >= header.segment) return 'its header leads to a later segment'
  if (state === undefined) return undefined
  if (header.spoolId !== state.spoolId) return `it belongs to another spool, ${header.spoolId}`
  if (header.segment > state.watermark.segment && header.epoch < state.epoch) {
    return `an earlier writer wrote it after epoch ${state.epoch} had begun: two processes have written this spool`
  }
  return undefined
}

function fault(isWhole: boolean, what = ''): Pick<Damage, 'kind' | 'what'> {
  return { kind: isWhole && what.startsWith('an earlier writer') ? 'owner' : 'corrupt', what }
}
