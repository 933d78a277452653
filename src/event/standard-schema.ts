/**
 * Standard Schema v1 (https://standardschema.dev): what zod, valibot, arktype and others offer under `~standard`, as
 * far as a catalogue needs it. The interfaces are a copy, as their specification proposes: a package of types only
 * would be one more dependency of everybody who compiles against ours. A schema is somebody else's code: whatever it
 * does, `findIssues` answers, reads a bounded part of what it says, and keeps nothing that could hold a value.
 */

import { containerKeysMax, validationsMax } from '../limits.ts'

/** A validator. `Input` is what may be given, `Output` what it makes of that; we use only its judgement. */
export interface StandardSchemaV1<Input = unknown, Output = unknown> {
  readonly '~standard': StandardProperties<Input, Output>
}

export interface StandardProperties<Input, Output> {
  readonly version: 1
  /** Name of the library. */
  readonly vendor: string
  readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
  readonly types?: { readonly input: Input; readonly output: Output } | undefined
  /** Standard JSON Schema, where the library has it. */
  readonly jsonSchema?:
    | { readonly input: (options: { readonly target: string }) => Record<string, unknown> }
    | undefined
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** What may be given to a schema. */
export type SchemaInput<Schema> = Schema extends StandardSchemaV1<infer Input, unknown> ? Input : never

/** What a schema has against a value. */
export interface SchemaIssue {
  /** JSON pointer within the value; a key that could itself be a value stands as `*`. */
  readonly pointer: string
  /** What the library calls the rule, if it is one whose words we know; else `invalid`. */
  readonly code: string
}

/** Whether this is a schema that `findIssues` can ask. */
export function isStandardSchema(value: unknown): value is StandardSchemaV1 {
  const isHolder = (typeof value === 'object' && value !== null) || typeof value === 'function'
  const standard = isHolder ? (value as Partial<StandardSchemaV1>)['~standard'] : undefined
  return standard?.version === 1 && typeof standard.validate === 'function' && typeof standard.vendor === 'string'
}

/**
 * What a schema has against a value: at most `validationsMax` issues, none when it is valid, `undefined` when there is
 * no answer because the schema threw or answered with a promise. Never throws. The schema may change the value.
 */
export function findIssues(schema: StandardSchemaV1, value: unknown): SchemaIssue[] | undefined {
  try {
    const { validate, vendor } = schema['~standard']
    const result: unknown = validate(value)
    if (result instanceof Promise) result.catch(() => {}) // nobody waits for it, and it must not end the process
    return readResult(result, vendor)
  } catch {
    return undefined // it is recorded that there was no answer
  }
}

function readResult(result: unknown, vendor: string): SchemaIssue[] | undefined {
  if (typeof result !== 'object' || result === null) return undefined
  const { issues } = result as { issues?: unknown }
  if (issues === undefined) return 'value' in result ? [] : undefined
  if (!Array.isArray(issues)) return undefined
  const found: SchemaIssue[] = []
  for (let index = 0; index < issues.length && index < validationsMax; index++) {
    found.push(readIssue(issues[index], vendor))
  }
  // A list that says nothing still says that the value is not valid.
  return found.length > 0 ? found : [{ pointer: '', code: 'invalid' }]
}

/** Where libraries keep the name of the rule. Elsewhere we do not know what a member holds; messages hold values. */
const codeMembers: Readonly<Record<string, string>> = { zod: 'code', valibot: 'type', arktype: 'code' }
const codeForm = /^[a-z][a-z0-9_]{0,31}$/i

function readIssue(issue: unknown, vendor: string): SchemaIssue {
  try {
    const members = issue as Readonly<Record<string, unknown>>
    const code = members[codeMembers[vendor] ?? '']
    return {
      pointer: readPath(members.path),
      code: typeof code === 'string' && codeForm.test(code) ? code : 'invalid',
    }
  } catch {
    return { pointer: '', code: 'invalid' }
  }
}

/** Deeper places are named by where they lie. */
const tokensMax = 8

function readPath(path: unknown): string {
  if (!Array.isArray(path)) return ''
  let pointer = ''
  for (let depth = 0; depth < path.length && depth < tokensMax; depth++) {
    const segment: unknown = path[depth]
    const key: unknown = typeof segment === 'object' && segment !== null ? (segment as { key?: unknown }).key : segment
    pointer += `/${tokenOf(key)}`
  }
  return pointer
}

const plainName = /^[\p{L}_$][\p{L}\p{N}_$-]{0,39}$/u
const digitsMax = 3

/** A key that reads like a name or an index. Any other may be an address or a number of somebody: redaction comes later. */
function tokenOf(key: unknown): string {
  if (typeof key === 'number' && Number.isInteger(key) && key >= 0 && key < containerKeysMax) return String(key)
  if (typeof key !== 'string') return '*'
  if (/^\d{1,3}$/.test(key)) return key
  return plainName.test(key) && (key.match(/\p{N}/gu)?.length ?? 0) <= digitsMax ? key : '*'
}
