/**
 * The catalogue: what an application says about its actions, once, in code. `defineActions` checks the definitions
 * where they are made; `catalogue-check.ts` holds events against them, `upcast.ts` reads old records by them, and the
 * types of `catalogued-event.ts` hold `emit` to them. A catalogue is plain data with functions of the application.
 */

import { AuditError } from '../errors.ts'
import { convertEvent } from './convert.ts'
import { type AuditEvent, type Operation, operations } from './event.ts'
import type { RecordMembers } from './record.ts'
import { isStandardSchema, type StandardSchemaV1 } from './standard-schema.ts'

/** Members that an event of the action has when it does not say otherwise. */
export type ActionDefaults = Pick<AuditEvent, 'actor' | 'outcome' | 'target' | 'tenant'>

/** Makes a record of the next version's shape. It is given a copy; what proves the record stays as it was. */
export type Upcast = (record: RecordMembers) => RecordMembers

/** What is known of one action. Schemas see the JSON that is recorded: a `Date` is a text by then. */
export interface ActionDefinition {
  /** Version of the action's own schema, from 1. When to raise it: docs/catalogue.md. */
  readonly version: number
  /** What the action means, for whoever reviews the trail. */
  readonly description: string
  /** What policy looks at, where the event does not say. */
  readonly operation?: Operation | undefined
  readonly defaults?: ActionDefaults | undefined
  /** Any Standard Schema v1 validator that answers at once. Absent `details` are held against it as `{}`. */
  readonly details?: StandardSchemaV1<object> | undefined
  readonly changes?: StandardSchemaV1<object> | undefined
  readonly target?: StandardSchemaV1<object> | undefined
  /** By version: makes a record of the next version of one of this. 0: of one emitted before the action was catalogued. */
  readonly upcast?: Readonly<Record<number, Upcast>> | undefined
}

export type ActionDefinitions = Readonly<Record<string, ActionDefinition>>

/** Made by `defineActions`. */
export interface Catalogue<
  Definitions extends ActionDefinitions = ActionDefinitions,
  Closed extends boolean = boolean,
> {
  readonly actions: Definitions
  /** Whether an action that it does not name is a finding, and an error of the compiler. */
  readonly closed: Closed
}

/**
 * Defines the actions of an application, for `createAudit({ actions })` and for readers of old records.
 * Throws `INVALID_OPTION` for the first definition that is wrong, naming it.
 */
export function defineActions<const Definitions extends ActionDefinitions, const Closed extends boolean = false>(
  actions: Definitions,
  options: { readonly closed?: Closed | undefined } = {},
): Catalogue<Definitions, Closed> {
  if (!isMembers(actions)) throw invalid('actions', actions, 'an object with one definition for each action')
  for (const [action, definition] of Object.entries(actions)) checkDefinition(action, definition)
  const closed: unknown = options.closed ?? false
  if (typeof closed !== 'boolean') throw invalid('closed', closed, 'true, false')
  return Object.freeze({ actions, closed: closed as Closed })
}

/** Whether this is a catalogue, also one that another copy of this package has made. Never throws. */
export function isCatalogue(value: unknown): value is Catalogue {
  try {
    if (!isMembers(value) || typeof value.closed !== 'boolean') return false
    defineActions(value.actions as ActionDefinitions)
    return true
  } catch {
    return false
  }
}

/** The definition of an action; what a prototype holds is none. */
export function definitionOf(catalogue: Catalogue, action: string): ActionDefinition | undefined {
  return Object.hasOwn(catalogue.actions, action) ? catalogue.actions[action] : undefined
}

/** Names stand in the record's `schema`, before `=`, and in policy rules, where `*` and `,` have a meaning. */
const nameForm = /^[\p{L}\p{N}_][\p{L}\p{N}_.:/-]{0,127}$/u

function checkDefinition(action: string, definition: unknown): void {
  const setting = `actions[${JSON.stringify(action)}]`
  if (!nameForm.test(action)) {
    throw invalid(
      setting,
      action,
      'a name of at most 128 letters, digits, _ . : / -, that begins with none of the last four',
    )
  }
  if (action.startsWith('audit.'))
    throw invalid(setting, action, 'a name that does not begin with audit., which is ours')
  if (!isMembers(definition)) throw invalid(setting, definition, 'a definition, at least { version, description }')
  const known: readonly string[] = Object.keys(memberRules)
  for (const member of Object.keys(definition)) {
    if (!known.includes(member))
      throw invalid(`${setting}.${member}`, definition[member], `absent: a definition has ${known.join(', ')}`)
  }
  for (const [member, { isRight, rule }] of Object.entries(memberRules)) {
    const value = definition[member]
    if (!isRight(value, definition as unknown as ActionDefinition)) throw invalid(`${setting}.${member}`, value, rule)
  }
}

interface MemberRule {
  readonly rule: string
  isRight(value: unknown, definition: ActionDefinition): boolean
}

const defaultMembers = ['actor', 'outcome', 'target', 'tenant'] as const satisfies (keyof ActionDefaults)[]

const schemaRule: MemberRule = {
  rule: 'a Standard Schema v1 validator: of zod 4, valibot, arktype or any other library that has `~standard`',
  isRight: (value) => value === undefined || isStandardSchema(value),
}

const memberRules: { readonly [Member in keyof ActionDefinition]-?: MemberRule } = {
  version: { rule: 'an integer from 1', isRight: (value) => Number.isSafeInteger(value) && Number(value) >= 1 },
  description: {
    rule: 'a sentence that says what the action means',
    isRight: (value) => typeof value === 'string' && value.trim() !== '',
  },
  operation: {
    rule: operations.join(', '),
    isRight: (value) => value === undefined || operations.some((operation) => operation === value),
  },
  defaults: {
    rule: `an object of ${defaultMembers.join(', ')}, each as an event has it`,
    isRight: (value) => value === undefined || areDefaults(value),
  },
  details: schemaRule,
  changes: schemaRule,
  target: schemaRule,
  upcast: {
    rule: 'an object of functions by version, each from 0 to one below `version`',
    isRight: (value, { version }) => value === undefined || areSteps(value, version),
  },
}

function areDefaults(value: unknown): boolean {
  if (!isMembers(value)) return false
  const isKnown = Object.keys(value).every((key) => defaultMembers.some((member) => member === key))
  return isKnown && convertEvent({ ...value, action: 'a' }).validation === undefined
}

function areSteps(value: unknown, version: number): boolean {
  if (!isMembers(value)) return false
  return Object.entries(value).every(
    ([from, step]) => /^(?:0|[1-9]\d*)$/.test(from) && Number(from) < version && typeof step === 'function',
  )
}

function isMembers(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(setting: string, value: unknown, rule: string): AuditError {
  const shown = typeof value === 'function' ? 'a function' : (JSON.stringify(value)?.slice(0, 200) ?? String(value))
  return new AuditError('INVALID_OPTION', `${setting} is ${shown}; allowed: ${rule}`, {
    setting,
    hint: `Define the action as docs/catalogue.md describes.`,
  })
}
