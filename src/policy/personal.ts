/**
 * Personal values of an event: taken out before redaction, and committed to (`event/commit.ts`), so that they can be
 * erased later and the record stays as it was sealed. Secrets among them are redacted first, by the same rules. Always
 * holds: a value at a personal place leaves the event, whatever becomes of it; only `event.disclosures` may still have it.
 */

import { AuditError } from '../errors.ts'
import { type JsonObject, type JsonValue, pointerToken } from '../event/canonical.ts'
import { commitmentTo, Disclosures, discloseValue } from '../event/commit.ts'
import { type ConvertedEvent, emptyEvent } from '../event/converted-event.ts'
import { isObject } from '../event/object-members.ts'
import { setMember } from '../event/value.ts'
import { commitmentPointerMax, commitmentsMax, disclosuresBytesMax } from '../limits.ts'
import type { PersonalPointer } from './redaction/options.ts'
import { anyKey, parsePointer, type Step } from './redaction/pointers.ts'
import type { Pseudonyms } from './redaction/pseudonym.ts'
import { type Receipt, Receipts } from './redaction/receipts.ts'

/** Whom a value is filed under where the event does not say it. */
export const unknownSubject = 'unknown'
const defaultSubject = '/actor/id'
/** In the record's `redactions`: a personal value for which there was no room was taken out, and is nowhere. */
export const beyondLimitRule = 'personal:beyond-limit'

/** Hides in place, as `Redaction.redact`. */
export type Redact = (event: ConvertedEvent) => Receipt[]

export interface PersonalParts {
  readonly pseudonyms: Pseudonyms
  /** Everything that redaction hides: what a key in a pointer is held to. */
  readonly redact: Redact
  /** Without the rules that look for what identifies a person: what a personal value is held to. */
  readonly redactSecrets: Redact
}

export interface Personal {
  /** One line a place: part of what the policy's hash stands for. */
  readonly rules: readonly string[]
  /** Takes the personal values out of the event, in place. */
  readonly take: Redact
}

interface PersonalRule {
  readonly steps: readonly Step[]
  readonly subject: readonly Step[]
}

/** A value at a personal place. */
interface Found {
  readonly owner: JsonObject | JsonValue[]
  readonly keys: readonly string[]
  readonly hasWildcard: boolean
  readonly subject: string
}

/** Throws `INVALID_OPTION` for what is no pointer to something that can be taken out. */
export function compilePersonal(given: readonly (string | PersonalPointer)[], parts: PersonalParts): Personal {
  const places = given.map((one) => (typeof one === 'string' ? { pointer: one } : one))
  const rules = places.map(readRule)
  return {
    rules: places.map(({ pointer, subject = defaultSubject }) => `personal:${pointer} of ${subject}`),
    take: (event) => new Taking(event, parts).take(rules),
  }
}

function readRule({ pointer, subject = defaultSubject }: PersonalPointer, index: number): PersonalRule {
  const setting = `redact.personal[${index}]`
  const { steps } = parsePointer(pointer, setting)
  if (steps[0] === 'correlation_id' || steps[0] === 'resource') {
    throw new AuditError('INVALID_OPTION', `${setting} is ${JSON.stringify(pointer)}: it cannot be taken out`, {
      setting,
      hint: 'records are found by their correlation id, and events share a resource: keep personal values out of them',
    })
  }
  const whom = parsePointer(subject, `${setting}.subject`).steps
  const wildcards = (list: readonly Step[]) => list.filter((step) => step === anyKey).length
  if (wildcards(whom) > wildcards(steps)) {
    throw new AuditError('INVALID_OPTION', `${setting}.subject is ${JSON.stringify(subject)}: whom does * mean?`, {
      setting: `${setting}.subject`,
      hint: `a * in the subject stands for what the * of the pointer has met: ${JSON.stringify(pointer)} needs as many`,
    })
  }
  return { steps, subject: whom }
}

/** The walk through one event. */
class Taking {
  readonly #event: ConvertedEvent
  readonly #members: JsonObject
  readonly #parts: PersonalParts
  readonly #receipts = new Receipts()
  readonly #further: Receipt[] = []
  readonly #disclosures = new Disclosures()
  readonly #commitments = new Map<string, string>()

  constructor(event: ConvertedEvent, parts: PersonalParts) {
    this.#event = event
    this.#members = event as unknown as JsonObject
    this.#parts = parts
  }

  take(rules: readonly PersonalRule[]): Receipt[] {
    // All are found before the first goes: a subject may be a personal value itself.
    for (const found of rules.flatMap((rule) => this.#find(rule))) this.#takeOne(found)
    if (this.#commitments.size > 0) {
      const sorted = [...this.#commitments].sort(([one], [other]) => (one < other ? -1 : 1))
      this.#event.commitments = Object.fromEntries(sorted)
      this.#event.disclosures = this.#disclosures
    }
    return [...this.#further, ...this.#receipts.list()]
  }

  #find({ steps, subject }: PersonalRule): Found[] {
    const hasWildcard = steps.includes(anyKey)
    const found: Found[] = []
    const walk = (owner: JsonValue | undefined, keys: readonly string[], met: readonly string[]): void => {
      if (typeof owner !== 'object' || owner === null) return
      const step = steps[keys.length]
      const matching = step === anyKey ? Object.keys(owner) : Object.hasOwn(owner, step ?? '') ? [step ?? ''] : []
      for (const key of matching) {
        const nowMet = step === anyKey ? [...met, key] : met
        const below = [...keys, key]
        if (below.length < steps.length) walk((owner as JsonObject)[key], below, nowMet)
        else found.push({ owner, keys: below, hasWildcard, subject: this.#subjectAt(subject, nowMet) })
      }
    }
    walk(this.#members, [], [])
    return found
  }

  #subjectAt(steps: readonly Step[], met: readonly string[]): string {
    const left = [...met]
    let value: JsonValue | undefined = this.#members
    for (const step of steps) {
      const key = step === anyKey ? (left.shift() ?? '') : step
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return unknownSubject
      value = (value as JsonObject)[key]
    }
    return (typeof value === 'string' && value !== '') || typeof value === 'number' ? String(value) : unknownSubject
  }

  #takeOne({ owner, keys, hasWildcard, subject }: Found): void {
    const key = keys.at(-1) ?? ''
    const given = Object.hasOwn(owner, key) ? (owner as JsonObject)[key] : undefined
    if (given === undefined || (given === null && Array.isArray(owner))) return
    const { keys: shown, value } = this.#redactValue(keys, given)
    // A key that an operator wrote down is none that a person has brought.
    const named = hasWildcard ? lastPath(this.#parts.redact, keys, true).keys : keys
    remove(owner, key, given)
    if (value === undefined || shown.length < keys.length) return
    this.#commit(named, value, subject)
  }

  #redactValue(keys: readonly string[], given: JsonValue): { keys: readonly string[]; value: JsonValue | undefined } {
    const { receipts, ...place } = lastPath(this.#parts.redactSecrets, keys, given)
    this.#further.push(...receipts)
    return place
  }

  #commit(keys: readonly string[], value: JsonValue, subject: string): void {
    const pointer = this.#freePointer(keys.map((key) => `/${pointerToken(key)}`).join(''))
    const text = discloseValue(pointer, value)
    const isTooMuch =
      this.#commitments.size >= commitmentsMax ||
      JSON.stringify(pointer).length > commitmentPointerMax ||
      this.#disclosures.bytes + text.length > disclosuresBytesMax
    if (isTooMuch) {
      this.#receipts.path.splice(0, Number.POSITIVE_INFINITY, ...keys.slice(0, -1))
      this.#receipts.note(beyondLimitRule, keys.at(-1) ?? '')
      return
    }
    const { pseudonyms } = this.#parts
    this.#disclosures.add({ subject: pseudonyms.isOwn(subject) ? subject : pseudonyms.pseudonymOf(subject), text })
    this.#commitments.set(pointer, commitmentTo(text))
  }

  /** Two keys may be redacted into one. */
  #freePointer(pointer: string): string {
    let free = pointer
    for (let copy = 2; this.#commitments.has(free); copy += 1) free = `${pointer}#${copy}`
    return free
  }
}

/** The record needs its own objects to be objects: a member goes, of a list `null` stays, of targets an empty one. */
function remove(owner: JsonObject | JsonValue[], key: string, given: JsonValue): void {
  if (!Array.isArray(owner)) delete owner[key]
  else owner[Number(key)] = isObject(given) ? {} : null
}

/** What redaction makes of a value at a place, and of the keys that lead there. */
function lastPath(
  redact: Redact,
  keys: readonly string[],
  value: JsonValue,
): { readonly keys: readonly string[]; readonly value: JsonValue | undefined; readonly receipts: Receipt[] } {
  const event = emptyEvent()
  let holder = event as unknown as JsonObject
  for (const key of keys.slice(0, -1)) {
    const below: JsonObject = {}
    setMember(holder, key, below)
    holder = below
  }
  setMember(holder, keys.at(-1) ?? '', value)
  const receipts = redact(event)
  const shown: string[] = []
  let reached: JsonValue | undefined = (event as unknown as JsonObject)[keys[0] ?? '']
  if (reached !== undefined) shown.push(keys[0] ?? '')
  while (shown.length < keys.length && isObject(reached)) {
    const [key] = Object.keys(reached)
    if (key === undefined) break
    shown.push(key)
    reached = reached[key]
  }
  return { keys: shown, value: shown.length === keys.length ? reached : undefined, receipts }
}
