/**
 * The projection of a record as places in bytes, so that an encoder copies what it shows without making strings of
 * it. Always holds: it says what `projectRecord` says of the same record, the hash aside. Canonical records are read
 * where they are; one with anything unusual in what is shown is parsed and projected, and its texts are laid out anew.
 */

import { FlatTime } from './flat-time.ts'
import { projectedPaths, projectRecord } from './log-record.ts'
import { findMembers, Places, type Wanted } from './member-places.ts'
import { parseRecord, type RecordMembers } from './record.ts'

type Path = readonly [member: keyof RecordMembers, part?: string]

/** What is shown beside the attributes. */
const otherPaths: readonly Path[] = [
  ['timestamp'],
  ['recorded'],
  ['service'],
  ['resource'],
  ['trace', 'flags'],
  ['trace', 'id'],
  ['trace', 'span'],
]

const slotsByPath = new Map<string, number>()
const slotOf = (...path: Path): number => {
  const name = path.join('.')
  const slot = slotsByPath.get(name) ?? slotsByPath.size
  slotsByPath.set(name, slot)
  return slot
}

/** The attributes in their order, each with the slot that holds its value. */
export const projectedSlots: readonly { readonly name: string; readonly slot: number }[] = projectedPaths.map(
  ([name, ...path]) => ({ name, slot: slotOf(...path) }),
)

/** Slots of what is not only an attribute. */
export const slots = {
  action: slotOf('action'),
  service: slotOf('service'),
  /** JSON text. */
  resource: slotOf('resource'),
  traceId: slotOf('trace', 'id'),
  traceSpan: slotOf('trace', 'span'),
} as const

const ownSlots = {
  outcome: slotOf('outcome'),
  timestamp: slotOf('timestamp'),
  recorded: slotOf('recorded'),
  traceFlags: slotOf('trace', 'flags'),
} as const

const wanted = wantMembers([...projectedPaths.map(([, ...path]) => path as Path), ...otherPaths])

const warnings = [Buffer.from('failure'), Buffer.from('denied')]

export class FlatProjection {
  /** By slot; texts are UTF-8. */
  readonly places = new Places(slotsByPath.size)
  readonly time = new FlatTime()
  readonly observedTime = new FlatTime()
  isWarning = false
  /** Without a trace its slots are absent. */
  traceFlags = 0
  /** The texts stand where they stand in the record, and so are texts of JSON without an escape. */
  isVerbatim = false

  /** Takes the place of what was read before. The record's bytes must not change while this is used. */
  read(record: Buffer): void {
    this.isVerbatim = findMembers(record, wanted, this.places) && this.#readOthers()
    if (!this.isVerbatim) this.#layOut(parseRecord(record))
  }

  /** What is shown in another form than it has; `false` when a parser must be asked. */
  #readOthers(): boolean {
    const { places } = this
    this.isWarning = warnings.some((outcome) => this.#isText(ownSlots.outcome, outcome))
    this.traceFlags = places.isNumber(ownSlots.traceFlags) ? places.number(ownSlots.traceFlags) & 0xff : 0
    return (
      this.#readTime(this.time, ownSlots.timestamp) &&
      this.#readTime(this.observedTime, ownSlots.recorded) &&
      this.#isTraceWhole()
    )
  }

  #readTime(time: FlatTime, slot: number): boolean {
    const { places } = this
    if (!places.isAbsent(slot)) return time.read(places.source, places.start(slot), places.end(slot))
    time.set(0n)
    return true
  }

  #isTraceWhole(): boolean {
    const { traceId, traceSpan } = slots
    if (this.places.isAbsent(traceId) && this.places.isAbsent(traceSpan)) return true
    return this.#isHex(traceId, 32) && this.#isHex(traceSpan, 16)
  }

  #isHex(slot: number, digits: number): boolean {
    const { places } = this
    const start = places.start(slot)
    if (start < 0 || places.end(slot) - start !== digits) return false
    for (let at = start; at < start + digits; at++) {
      const byte = places.source[at] ?? 0
      if (!((byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66))) return false
    }
    return true
  }

  #isText(slot: number, text: Buffer): boolean {
    const { places } = this
    const start = places.start(slot)
    return (
      start >= 0 &&
      places.end(slot) - start === text.length &&
      places.source.compare(text, 0, text.length, start, start + text.length) === 0
    )
  }

  /** The long way: everything shown, as text behind text. */
  #layOut(members: RecordMembers | undefined): void {
    const { attributes, ...projection } = projectRecord(members, '')
    const { trace } = projection
    this.time.set(projection.timeUnixNano)
    this.observedTime.set(projection.observedTimeUnixNano)
    this.isWarning = projection.severityText === 'WARN'
    this.traceFlags = trace?.flags ?? 0
    const shown = new Map<number, string | number | undefined>(
      projectedSlots.map(({ name, slot }) => [slot, attributes[name]]),
    )
    shown.set(slots.traceId, trace?.id).set(slots.traceSpan, trace?.span)
    shown.set(slots.service, members?.service?.toWellFormed())
    shown.set(slots.resource, members?.resource && JSON.stringify(members.resource))
    this.#place(shown)
  }

  #place(shown: ReadonlyMap<number, string | number | undefined>): void {
    const { places } = this
    places.clear(Buffer.from([...shown.values()].filter((value) => typeof value === 'string').join('')))
    let end = 0
    for (const [slot, value] of shown) {
      if (typeof value === 'number') places.setNumber(slot, value)
      if (typeof value !== 'string') continue
      const start = end
      end += Buffer.byteLength(value)
      places.setPlace(slot, start, end)
    }
  }
}

/** The members to be found, as `findMembers` takes them. */
function wantMembers(paths: readonly Path[]): Wanted[] {
  const groups = Map.groupBy(paths, ([member]) => member)
  return [...groups].sort(byKey).map(([member, group]) => {
    const parts = new Set(group.flatMap(([, part]) => part ?? []))
    return {
      key: Buffer.from(member),
      type: parts.size > 0 || member === 'resource' ? 'object' : member === 'seq' ? 'integer' : 'text',
      slot: parts.size > 0 ? -1 : slotOf(member),
      parts: [...parts]
        .sort()
        .map((part) => ({ key: Buffer.from(part), type: 'scalar', slot: slotOf(member, part), parts: [] })),
    } as const
  })
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}
