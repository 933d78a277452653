/**
 * Reads old records in the newest shape of their action, by the steps of a catalogue. The record's bytes are never
 * touched: what comes out is a copy to work with, and proves nothing. Never throws for what a record holds or a step
 * does; what could not be done is a problem in the reading, and the record is then as it was stored.
 */

import { errorText } from '../errors.ts'
import { type ActionDefinition, type Catalogue, definitionOf } from './catalogue.ts'
import { parseRecord, type RecordMembers } from './record.ts'

/** A record as a program reads it today. */
export interface RecordReading {
  /** In the newest shape, its `schema` too; as it was stored when there is a problem. */
  readonly record: RecordMembers
  /** Versions of the action it went through, its own first; empty for records whose action has none. */
  readonly versions: readonly number[]
  readonly problem: ReadingProblem | undefined
}

export interface ReadingProblem {
  /**
   * `unreadable`: no JSON object, or `schema` states no version. `unknown_action`: it has a version, and the catalogue
   * does not name its action. `newer_version`: than the catalogue's. `missing_step`, `failed_step`: see `text`.
   */
  readonly rule: 'unreadable' | 'unknown_action' | 'newer_version' | 'missing_step' | 'failed_step'
  readonly text: string
}

/** The record in its bytes, as any copy holds them, in the newest shape that the catalogue knows. Never throws. */
export function readRecord(catalogue: Catalogue, bytes: Uint8Array | string): RecordReading {
  const record = parseRecord(typeof bytes === 'string' ? Buffer.from(bytes) : bytes)
  return record === undefined ? stuck({}, 'unreadable', 'the bytes are no JSON object') : upcast(catalogue, record)
}

/** A parsed record in the newest shape that the catalogue knows; the one that was given stays as it is. Never throws. */
export function upcastRecord(catalogue: Catalogue, record: RecordMembers): RecordReading {
  return readRecord(catalogue, printed(record))
}

function printed(record: RecordMembers): string {
  try {
    return JSON.stringify(record)
  } catch {
    return '' // a program made it, and it is no JSON: unreadable like any other
  }
}

function upcast(catalogue: Catalogue, stored: RecordMembers): RecordReading {
  const { action = '', event_type, schema = '' } = stored
  const definition = event_type === 'audit' ? definitionOf(catalogue, action) : undefined
  const version = versionOf(action, schema)
  if (definition === undefined) {
    if (event_type !== 'audit' || version === 0) return { record: stored, versions: [], problem: undefined }
    return stuck(stored, 'unknown_action', `the catalogue does not name ${action}, and the record says ${schema}`)
  }
  if (version === undefined) return stuck(stored, 'unreadable', `schema ${schema} states no version of ${action}`)
  if (version > definition.version) {
    const text = `the record has version ${version} of ${action}, the catalogue ${definition.version}`
    return { ...stuck(stored, 'newer_version', text), versions: [version] }
  }
  return climb(stored, { action, version, definition })
}

interface Climb {
  readonly action: string
  readonly version: number
  readonly definition: ActionDefinition
}

/** Step by step to the newest version; how far it came stands in `versions`, also when a step is missing or fails. */
function climb(stored: RecordMembers, { action, version, definition }: Climb): RecordReading {
  const versions = [version]
  let record = stored
  for (let from = version; from < definition.version; from++) {
    const between = `step from version ${from} of ${action} to ${from + 1}`
    const step = definition.upcast?.[from]
    if (step === undefined) return { ...stuck(stored, 'missing_step', `there is no ${between}`), versions }
    const next = take(() => step(structuredClone(record)))
    if (typeof next === 'string') return { ...stuck(stored, 'failed_step', `the ${between} failed: ${next}`), versions }
    record = { ...next, ...provingMembers(stored), schema: `1;${action}=${from + 1}` }
    versions.push(from + 1)
  }
  return { record, versions, problem: undefined }
}

/** The version that a record states of its action: 0 when it was not catalogued, `undefined` when it makes no sense. */
function versionOf(action: string, schema: string): number | undefined {
  if (schema === '1') return 0
  const prefix = `1;${action}=`
  const stated = schema.startsWith(prefix) ? schema.slice(prefix.length) : ''
  return /^[1-9]\d{0,8}$/.test(stated) ? Number(stated) : undefined
}

function stuck(record: RecordMembers, rule: ReadingProblem['rule'], text: string): RecordReading {
  return { record, versions: [], problem: { rule, text } }
}

/** What a step gives, or in words why that is nothing. */
function take(step: () => unknown): RecordMembers | string {
  try {
    const given = step()
    if (given instanceof Promise) given.catch(() => {}) // nobody waits for it
    const isRecord = typeof given === 'object' && given !== null && !Array.isArray(given) && !(given instanceof Promise)
    return isRecord ? given : 'it gave no record'
  } catch (error) {
    return errorText(error)
  }
}

/** Which record it is and how it was sealed is no matter of shape. */
const proving = [
  'action',
  'clock',
  'commitments',
  'epoch',
  'event_type',
  'id',
  'policy',
  'prev',
  'recorded',
  'redactions',
  'sampling',
  'seq',
  'stream',
  'timestamp',
  'v',
  'validation',
] as const satisfies (keyof RecordMembers)[]

function provingMembers(stored: RecordMembers): RecordMembers {
  return Object.fromEntries(proving.filter((name) => stored[name] !== undefined).map((name) => [name, stored[name]]))
}
