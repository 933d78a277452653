/**
 * Holds events against the catalogue, after conversion and before redaction: fills in what a definition says, notes in
 * `validation` what is wrong, and puts the action's version into `schema`. The event stays what was emitted: a schema
 * is asked about a copy, and its output is not used. Never throws; a finding names a place and a rule, never a value.
 */

import { validationsMax } from '../limits.ts'
import type { JsonObject, JsonValue } from './canonical.ts'
import { type ActionDefinition, type Catalogue, definitionOf } from './catalogue.ts'
import { convertEvent } from './convert.ts'
import type { ConvertedEvent } from './converted-event.ts'
import type { EventFacts } from './facts.ts'
import { findIssues } from './standard-schema.ts'
import { gatherMembers, setMember } from './value.ts'

/** What becomes of an event that is not as its action's definition says: recorded with findings, or not at all. */
export type OnInvalid = 'record' | 'suppress'

/** What the way of an event asks of the catalogue. */
export interface CatalogueCheck {
  /** The facts with what the definition adds; `undefined` when only the filled event can tell. */
  completeFacts(facts: EventFacts): EventFacts | undefined
  /** Fills in what the event does not say and its definition does. */
  fill(event: ConvertedEvent): void
  /** Notes what is wrong and sets the version. The rule under which the event is suppressed, if it is. */
  check(event: ConvertedEvent): string | undefined
}

/** The rule for actions that a closed catalogue does not name: one, because their names may be anything. */
const otherActions = 'schema:_other'

export function compileCatalogue(catalogue: Catalogue | undefined, onInvalid: OnInvalid): CatalogueCheck {
  if (catalogue === undefined) return noCatalogue
  return {
    completeFacts: (facts) => completeFacts(facts, definitionOf(catalogue, facts.action)),
    fill: (event) => fill(event, definitionOf(catalogue, event.action)),
    check: (event) => {
      const definition = definitionOf(catalogue, event.action)
      const isWrong =
        definition === undefined ? catalogue.closed && noteUnknown(event) : checkMembers(event, definition)
      if (!isWrong || onInvalid === 'record') return undefined
      return definition === undefined ? otherActions : `schema:${event.action}`
    },
  }
}

const noCatalogue: CatalogueCheck = {
  completeFacts: (facts) => facts,
  fill: () => {},
  check: () => undefined,
}

function completeFacts(facts: EventFacts, definition: ActionDefinition | undefined): EventFacts | undefined {
  if (definition === undefined) return facts
  if (definition.defaults !== undefined) return undefined
  if (definition.operation === undefined || facts.operation !== undefined) return facts
  return { ...facts, operation: definition.operation }
}

function fill(event: ConvertedEvent, definition: ActionDefinition | undefined): void {
  if (definition === undefined) return
  event.operation ??= definition.operation
  if (definition.defaults === undefined) return
  const given = convertEvent({ ...definition.defaults, action: event.action }) // each time, as redaction works in place
  event.outcome ??= given.outcome
  event.tenant ??= given.tenant
  event.actor = fillMembers(event.actor, given.actor)
  if (event.targets === undefined) event.target = fillMembers(event.target, given.target)
  if (given.hasIntegerLikeKey) event.hasIntegerLikeKey = true
}

function fillMembers(members: JsonObject | undefined, given: JsonObject | undefined): JsonObject | undefined {
  if (members === undefined || given === undefined) return members ?? given
  const missing = Object.keys(given).filter((key) => !Object.hasOwn(members, key))
  const values = [...Object.values(members), ...missing.map((key) => given[key] as JsonValue)]
  return gatherMembers([...Object.keys(members), ...missing], values)
}

function noteUnknown(event: ConvertedEvent): true {
  note(event, '/action', 'schema:uncatalogued')
  return true
}

const checkedMembers = ['changes', 'details', 'target'] as const

/** Whether anything is wrong that a schema has said; what had no answer is noted, and nothing is wrong with the event. */
function checkMembers(event: ConvertedEvent, definition: ActionDefinition): boolean {
  const version = String(definition.version)
  if (event.schema !== undefined && event.schema !== version) {
    note(event, '/schema', 'schema:version') // of another version, which we have no schema of
    return true
  }
  event.schema = version
  let isWrong = false
  if (definition.operation !== undefined && event.operation !== definition.operation) {
    note(event, '/operation', 'schema:operation')
    isWrong = true
  }
  for (const member of checkedMembers) {
    const schema = definition[member]
    const issues = schema === undefined ? [] : findIssues(schema, copyJson(event[member] ?? {}))
    if (issues === undefined) note(event, `/${member}`, 'schema:no_answer')
    for (const { pointer, code } of issues ?? []) note(event, `/${member}${pointer}`, `schema:${code}`)
    if (issues !== undefined && issues.length > 0) isWrong = true
  }
  return isWrong
}

function note(event: ConvertedEvent, pointer: string, rule: string): void {
  event.validation ??= []
  const isKnown = event.validation.some((finding) => finding.pointer === pointer && finding.rule === rule)
  if (!isKnown && event.validation.length < validationsMax) event.validation.push({ pointer, rule })
}

function copyJson(value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyJson)
  const copy: JsonObject = {}
  for (const key of Object.keys(value)) setMember(copy, key, copyJson(value[key] as JsonValue))
  return copy
}
