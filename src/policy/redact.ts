/**
 * Redaction of an event, before it is sealed: by pointer, by key name, by content. In place, and idempotent: a second
 * pass finds nothing. The receipts go into the record and tell where and by which rule, never what. What has been hidden
 * by pointer or key is not searched again, so that the mode that was asked for is the one that shows.
 */

import type { JsonObject, JsonValue } from '../event/canonical.ts'
import type { ConvertedEvent } from '../event/converted-event.ts'
import { gatherMembers, setMember } from '../event/value.ts'
import { compilePersonal, type Redact } from './personal.ts'
import { keysByPreset, normalizeKey } from './redaction/keys.ts'
import { hideValue } from './redaction/modes.ts'
import type { RedactionMode, RedactionOptions } from './redaction/options.ts'
import { anyKey, type PointerRule, redactedMembers, type Step } from './redaction/pointers.ts'
import { rulesByPreset } from './redaction/presets.ts'
import { type Receipt, Receipts } from './redaction/receipts.ts'
import { compileRules, type RuleSet } from './redaction/rule-set.ts'
import type { RedactedText } from './redaction/text.ts'
import { compileZones, type KeyFacts, type Zone, type Zones } from './redaction/zone.ts'

export interface Redaction {
  /** Every rule in force in one line each, sorted: part of what the policy's hash stands for. */
  readonly rules: readonly string[]
  /**
   * Redacts the event in place; the caller puts the receipts into its `redactions`. Personal values leave it before that,
   * and stand in its `commitments` and `disclosures`.
   */
  redact(event: ConvertedEvent): Receipt[]
}

/** Throws `INVALID_OPTION` for a pattern that is not safe, a pointer to nothing, an unknown mode, a missing key. */
export function compileRedaction(options: RedactionOptions = {}): Redaction {
  const rules = compileRules(options)
  const redact = redactBy(rules)
  const { pseudonyms, descriptions } = rules
  const given = options.personal ?? []
  if (given.length === 0 || pseudonyms === undefined) return { rules: descriptions, redact }
  const personal = compilePersonal(given, { pseudonyms, redact, redactSecrets: redactBy(secretsOnly(rules, options)) })
  return {
    rules: [...descriptions, ...personal.rules].sort(),
    redact: (event) => [...personal.take(event), ...redact(event)],
  }
}

function redactBy(rules: RuleSet): Redact {
  const zones = compileZones(rules)
  return (event) => new EventRedaction(rules, zones).redact(event)
}

/** The rules without those of a preset that look for what identifies a person: what is personal is there to be kept. */
function secretsOnly(rules: RuleSet, { preset = 'default', keys: given = [] }: RedactionOptions): RuleSet {
  const spared = preset === 'off' ? 'off' : 'default'
  const kept = new Set([...keysByPreset[spared], ...given.map(normalizeKey)])
  return { ...rules, keys: kept, content: rulesByPreset[spared] }
}

/** What of an event is searched, and in which zone; what has no fixed form and is not listed here has no place in it. */
const containers = redactedMembers.containers
const texts = redactedMembers.texts
/** What of a request names its parties; the rest, headers included, is free text. */
const requestIdentity: ReadonlySet<string> = new Set(['id', 'method', 'route', 'source_ip'])

/** The walk through one event. */
class EventRedaction {
  readonly #rules: RuleSet
  readonly #zones: Zones
  readonly #receipts = new Receipts()
  /** What pointers have hidden. */
  #done: Map<object, Set<string>> | undefined

  constructor(rules: RuleSet, zones: Zones) {
    this.#rules = rules
    this.#zones = zones
  }

  redact(event: ConvertedEvent): Receipt[] {
    const members = event as unknown as JsonObject
    for (const rule of this.#rules.pointers) this.#redactPlaces(members, rule, 0)
    for (const name of texts)
      this.#redactMember(members, name, name === 'reason' ? this.#zones.text : this.#zones.identity)
    for (const name of containers) {
      const value = members[name]
      if (value !== undefined) this.#redactContainer(value, name, this.#zoneOf(name))
    }
    return this.#receipts.list()
  }

  #zoneOf(member: string): Zone {
    const { text, identity, resource } = this.#zones
    if (member === 'resource') return resource
    return member === 'actor' || member === 'target' || member === 'targets' ? identity : text
  }

  #redactContainer(value: JsonValue, key: string, zone: Zone): void {
    const { path } = this.#receipts
    path.push(key)
    if (Array.isArray(value)) this.#redactElements(value, zone)
    else if (typeof value === 'object' && value !== null) this.#redactMembers(value, zone)
    path.pop()
  }

  #redactElements(elements: JsonValue[], zone: Zone): void {
    for (let index = 0; index < elements.length; index++) {
      if (this.#done?.get(elements)?.has(String(index))) continue
      const value = elements[index] as JsonValue
      if (typeof value === 'object') {
        if (value !== null) this.#redactContainer(value, String(index), zone)
        continue
      }
      const redacted = searchValue(value, zone)
      if (redacted === undefined) continue
      elements[index] = redacted.text
      this.#receipts.noteAll(redacted.counts, String(index))
    }
  }

  #redactMembers(members: JsonObject, zone: Zone): void {
    const isTop = this.#receipts.path.length === 1
    const isRequest = isTop && this.#receipts.path[0] === 'request'
    const isError = isTop && this.#receipts.path[0] === 'error'
    for (const key of this.#redactKeys(members, zone)) {
      if (isError && key === 'class') continue // one of a few words, which the format names
      this.#redactMember(members, key, isRequest && requestIdentity.has(key) ? this.#zones.identity : zone)
    }
  }

  #redactMember(members: JsonObject, key: string, zone: Zone): void {
    const value = members[key]
    if (value === undefined || this.#done?.get(members)?.has(key)) return
    const { rule, mode } = zone.factsOf(key)
    if (rule !== undefined) {
      this.#hide(members, key, { name: rule, mode })
      return
    }
    if (typeof value === 'object') {
      if (value !== null) this.#redactContainer(value, key, zone)
      return
    }
    const redacted = searchValue(value, zone)
    if (redacted === undefined) return
    setMember(members, key, redacted.text)
    this.#receipts.noteAll(redacted.counts, key)
  }

  /** The keys as they are afterwards. Keys that become equal are numbered, as conversion does. */
  #redactKeys(members: JsonObject, zone: Zone): string[] {
    const keys = Object.keys(members)
    if (!keys.some((key) => zone.factsOf(key).redacted !== undefined)) return keys
    const values = Object.values(members)
    const facts = keys.map((key): KeyFacts => zone.factsOf(key))
    for (const { redacted } of facts) if (redacted !== undefined) this.#receipts.noteAll(redacted.counts, redacted.text)
    const renamed = gatherMembers(
      keys.map((key, index) => facts[index]?.redacted?.text ?? key),
      values,
    )
    for (const key of keys) delete members[key]
    for (const [key, value] of Object.entries(renamed)) setMember(members, key, value)
    return Object.keys(renamed)
  }

  #hide(owner: JsonObject, key: string, { name, mode }: { readonly name: string; readonly mode: RedactionMode }): void {
    const value = owner[key] as JsonValue
    const hidden = hideValue(value, mode, this.#rules.pseudonyms)
    if (hidden === value) return
    if (hidden === undefined) delete owner[key]
    else setMember(owner, key, hidden)
    this.#receipts.note(name, key)
  }

  /** Follows a pointer from its step at this index on. */
  #redactPlaces(owner: JsonObject | JsonValue[], rule: PointerRule, index: number): void {
    const { path } = this.#receipts
    const zone = this.#zoneOf(path[0] ?? '')
    for (const key of keysAt(owner, rule.steps[index] ?? '')) {
      const value = (owner as JsonObject)[key]
      // A key that holds a secret will be redacted, and must not stand in a receipt before that.
      const shown = index === 0 ? key : (zone.factsOf(key).redacted?.text ?? key)
      if (index === rule.steps.length - 1) {
        this.#hidePlace(owner, key, { rule, shown })
      } else if (typeof value === 'object' && value !== null) {
        path.push(shown)
        this.#redactPlaces(value, rule, index + 1)
        path.pop()
      }
    }
  }

  #hidePlace(
    owner: JsonObject | JsonValue[],
    key: string,
    { rule, shown }: { readonly rule: PointerRule; readonly shown: string },
  ): void {
    const value = (owner as JsonObject)[key] as JsonValue
    this.#done ??= new Map()
    this.#done.set(owner, (this.#done.get(owner) ?? new Set()).add(key))
    const hidden = this.#standInFor(value, rule)
    if (hidden === value || (value === null && Array.isArray(owner) && hidden === undefined)) return
    if (hidden !== undefined) setMember(owner as JsonObject, key, hidden)
    else if (Array.isArray(owner)) owner[Number(key)] = null
    else delete owner[key]
    this.#receipts.note(rule.name, shown)
  }

  /** The record needs its own objects to be objects: they are taken out, and a target of many is emptied. */
  #standInFor(value: JsonValue, rule: PointerRule): JsonValue | undefined {
    const isObject = typeof value === 'object' && value !== null
    const isTarget = rule.steps[0] === 'targets' && rule.steps.length === 2
    if (isObject && isTarget) return Object.keys(value).length === 0 ? value : {}
    return isObject && rule.steps.length === 1 ? undefined : hideValue(value, rule.mode, this.#rules.pseudonyms)
  }
}

function searchValue(value: JsonValue, zone: Zone): RedactedText | undefined {
  if (typeof value === 'string') return zone.redactText?.(value)
  const mayBeCard = zone.searchesNumbers && typeof value === 'number' && value >= 1e12
  return mayBeCard ? zone.redactText?.(String(value)) : undefined
}

/** The keys and indices of a container that a step stands for. */
function keysAt(owner: JsonObject | JsonValue[], step: Step): string[] {
  if (step === anyKey) return Object.keys(owner)
  return Object.hasOwn(owner, step) && step !== 'length' ? [step] : []
}
