/**
 * Whether a log record shows its record as it was delivered: every attribute and field there, in the order of the projection,
 * told from the bytes of the record without parsing it. Always holds: where it says so, `findMismatch` finds nothing, as
 * long as the record is JSON at all. Whatever is unusual it leaves to that.
 */

import { FlatProjection, projectedSlots, slots } from '../../event/flat-projection.ts'
import { attributeNames } from '../../event/names.ts'
import type { Place } from '../source.ts'

export interface LogRecord {
  readonly body?: { readonly stringValue?: unknown }
  readonly attributes?: readonly KeyValue[]
  readonly [field: string]: unknown
}

export interface KeyValue {
  readonly key?: unknown
  readonly value?: Readonly<Record<string, unknown>>
}

const ownNames: ReadonlySet<unknown> = new Set(Object.values(attributeNames))
const sequenceSlot = projectedSlots.find(({ name }) => name === attributeNames.sequence)?.slot ?? 0
const [infoSeverity, warnSeverity] = [9, 13]

export class OtlpComparison {
  readonly #flat = new FlatProjection()
  /** The attribute of that name, as far as they were compared. */
  #stream = ''

  /** Where the record belongs, if all of it is shown; `leaf` is the hash of its bytes, hexadecimal. */
  placeOf(log: LogRecord, { bytes, leaf }: { readonly bytes: Buffer; readonly leaf: string }): Place | undefined {
    const { attributes } = log
    // Of others a log record shows no hash: nothing needs to be read to see that.
    if (!Array.isArray(attributes) || !attributes.some((one) => one?.key === attributeNames.recordHash))
      return undefined
    this.#stream = ''
    this.#flat.read(bytes)
    if (!this.#flat.isVerbatim || !this.#areFields(log) || !this.#areAttributes(attributes, leaf)) return undefined
    const sequence = this.#flat.places.isNumber(sequenceSlot) ? this.#flat.places.number(sequenceSlot) : 0
    return this.#stream === '' || sequence === 0 ? undefined : { stream: this.#stream, sequence }
  }

  #areFields(log: LogRecord): boolean {
    const { time, observedTime, isWarning } = this.#flat
    return (
      log.timeUnixNano === time.decimal &&
      log.observedTimeUnixNano === observedTime.decimal &&
      log.severityNumber === (isWarning ? warnSeverity : infoSeverity) &&
      this.#isShown(log.eventName, slots.action) &&
      this.#isShown(log.traceId, slots.traceId) &&
      this.#isShown(log.spanId, slots.traceSpan)
    )
  }

  /** The hash first, then what the record has of the others; between them may stand what is not ours. */
  #areAttributes(attributes: readonly (KeyValue | null)[], leaf: string): boolean {
    let [isHashed, next] = [false, this.#slotFrom(0)]
    for (const attribute of attributes) {
      const key = attribute?.key
      if (!ownNames.has(key)) continue
      if (!isHashed) {
        if (key !== attributeNames.recordHash || attribute?.value?.stringValue !== leaf) return false
        isHashed = true
        continue
      }
      const expected = projectedSlots[next]
      if (expected === undefined || key !== expected.name) return false
      if (!this.#isValue(attribute?.value, expected.slot)) return false
      if (key === attributeNames.streamId) this.#stream = String(attribute?.value?.stringValue)
      next = this.#slotFrom(next + 1)
    }
    return isHashed && next === projectedSlots.length
  }

  /** The first attribute from there on that the record has. */
  #slotFrom(from: number): number {
    let next = from
    while (next < projectedSlots.length && this.#flat.places.isAbsent(projectedSlots[next]?.slot ?? 0)) next += 1
    return next
  }

  #isValue(value: KeyValue['value'], slot: number): boolean {
    if (value === undefined || value === null) return false
    const { places } = this.#flat
    if (!places.isNumber(slot)) return this.#isText(value.stringValue, slot)
    const { stringValue, intValue } = value
    if (stringValue !== undefined || (typeof intValue !== 'string' && typeof intValue !== 'number')) return false
    return String(intValue) === String(places.number(slot))
  }

  #isShown(text: unknown, slot: number): boolean {
    return this.#flat.places.isAbsent(slot) ? text === undefined || text === '' : this.#isText(text, slot)
  }

  /** Where a text is empty the log record may leave it out: that is not told here. */
  #isText(text: unknown, slot: number): boolean {
    const { places } = this.#flat
    const [from, to] = [places.start(slot), places.end(slot)]
    if (typeof text !== 'string' || from < 0 || text.length !== to - from || text === '') return false
    for (let index = 0; index < text.length; index += 1) {
      const unit = text.charCodeAt(index)
      if (unit !== places.source[from + index] || unit > 0x7f) return false
    }
    return true
  }
}
