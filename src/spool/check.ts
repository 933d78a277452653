/**
 * What is wrong with a spool, all of it: control, the path of segments, every frame on it, and whether the next start
 * would take it. Writes nothing, takes no lock, and never throws for what it reads, but for a later format.
 */

import { AuditError, errorCode } from '../errors.ts'
import { type ControlReading, type ControlState, durableEnd, type Published, readControl } from './control.ts'
import { type Examined, examine } from './examine.ts'
import { bootId, type Files } from './files.ts'
import { type LenientPath, readLenientPath } from './lenient-path.ts'
import { inspectSpool } from './recover.ts'
import { type Damage, noSpool, SpoolDamaged } from './refusals.ts'
import { listSegments } from './segment.ts'
import type { Proof } from './tail.ts'

export interface CheckedSpool {
  readonly directory: string
  readonly live: boolean
  /** `undefined` where control is missing or damaged. */
  readonly state: ControlState | undefined
  /** The durable position that control tells of. */
  readonly known: Published | undefined
  /** In the order of the spool; empty when the next start would take it and every frame is whole. */
  readonly damage: readonly Damage[]
  readonly segments: LenientPath
  readonly examined: Examined
  /** What the next start would do; `undefined` beside a live writer and where it would refuse. */
  readonly next: NextStart | undefined
}

export interface NextStart {
  /** Whole records above the watermark, which it carries over. */
  readonly unsettled: number
  readonly tornBytes: number
  /** Why it would begin a new stream, if it would. */
  readonly reason: string | undefined
}

export interface CheckOptions {
  /** A writer holds the lock: look no further than the durable position. */
  readonly isLive: boolean
  readonly onSegment?: ((index: number, of: number) => void) | undefined
}

/** Looks at everything. Throws `SOURCE_UNREADABLE` where no spool is, `SPOOL_VERSION`, and what the file system throws. */
export function checkSpool(files: Files, directory: string, options: CheckOptions): CheckedSpool {
  for (;;) {
    const control = readControl(files, directory)
    // Beside a live writer segments may be reclaimed while we look.
    const isReclaimed = () => options.isLive && firstOf(control) !== firstOf(readControl(files, directory))
    try {
      const checked = checkOnce(files, directory, { ...options, control })
      if (!isReclaimed()) return checked
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || !isReclaimed()) throw error
    }
  }
}

function firstOf(control: ControlReading): number | undefined {
  return control.kind === 'state' ? control.state.firstSegment : undefined
}

function checkOnce(
  files: Files,
  directory: string,
  { control, isLive, onSegment }: CheckOptions & { control: ControlReading },
): CheckedSpool {
  if (control.kind === 'absent' && listSegments(files, directory).length === 0) throw noSpool(directory)
  const state = control.kind === 'state' ? control.state : undefined
  const known = control.kind === 'state' ? durableEnd(control) : undefined
  const segments = readLenientPath(files, directory, { state, known, isLive })
  const { path } = segments
  const examined = examine(files, {
    directory,
    path,
    proofs: [...(known === undefined ? [] : [{ ...known, by: 'control' }]), ...path.flatMap(lengthsStated)],
    limit: isLive ? known : undefined,
    onSegment: (index) => onSegment?.(index, path.length),
  })
  const found = [...segments.damage, ...examined.damage].sort(inOrder)
  const start = isLive ? undefined : nextStart(files, { directory, state })
  const damage = [...controlDamage(control, start), ...found]
  if (start instanceof SpoolDamaged && damage.length === 0) damage.push(start.damage)
  const next = start instanceof SpoolDamaged || damage.length > 0 ? undefined : start
  return { directory, live: isLive, state, known, damage, segments, examined, next }
}

function lengthsStated({ header }: LenientPath['path'][number]): Proof[] {
  if (header.kind === 'planned') return []
  return [{ segment: header.segment, offset: header.publishedLength, by: 'its header' }]
}

function controlDamage(control: ControlReading, start: NextStart | SpoolDamaged | undefined): Damage[] {
  if (start instanceof SpoolDamaged && start.damage.kind === 'repair') return [start.damage]
  if (control.kind === 'damaged') return [{ kind: 'control', what: 'both slots of control are damaged' }]
  if (control.kind === 'absent' && start instanceof SpoolDamaged) {
    return [{ kind: 'control', what: 'the control file is missing although there are segments' }]
  }
  return []
}

/** What recovery would say. */
function nextStart(
  files: Files,
  { directory, state }: { directory: string; state: ControlState | undefined },
): NextStart | SpoolDamaged | undefined {
  try {
    const found = inspectSpool(files, { directory, deployment: state?.deployment ?? '', bootId: bootId() })
    if (found === undefined) return { unsettled: 0, tornBytes: 0, reason: undefined }
    return { unsettled: found.tail.records.length, tornBytes: found.tail.tornBytes, reason: found.reason }
  } catch (error) {
    if (error instanceof SpoolDamaged) return error
    if (error instanceof AuditError && error.code === 'SPOOL_VERSION') return undefined // a damaged version number
    throw error
  }
}

function inOrder(one: Damage, other: Damage): number {
  return (one.segment ?? 0) - (other.segment ?? 0) || (one.offset ?? 0) - (other.offset ?? 0)
}
