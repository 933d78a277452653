/**
 * The table of settings, one row for each leaf of a schema: its path, its name in the environment, how a text becomes
 * its value, what is allowed. Derived, never written: a new member of a schema is a new row everywhere.
 */

import { z } from 'zod'
import { optionsSchema } from './schema.ts'
import { noteOf, type SettingNote } from './setting-note.ts'

/** How a value is written in the environment. */
export type Form = 'text' | 'whole number' | 'number' | 'boolean' | 'list' | 'json'

export interface Setting {
  /** `spool.bytesMax`; of what only the environment has, the variable's name. */
  readonly path: string
  readonly form: Form
  readonly schema: z.ZodType
  /** In words, for documents and errors. */
  readonly allowed: string
  /** What holds where nobody has set it; `undefined` where that depends on other settings. */
  readonly byDefault: unknown
  readonly note: SettingNote
}

/** Every leaf of `schema`, in its order. */
export function settingsOf(schema: z.ZodType, path: readonly string[] = []): Setting[] {
  const { inner, byDefault } = unwrap(schema)
  const note = noteOf(schema)
  if (note !== undefined) return [settingOf({ path: path.join('.'), schema, byDefault, note })]
  if (!(inner instanceof z.ZodObject)) throw new Error(`${path.join('.')} has no note`)
  return Object.entries(inner.shape).flatMap(([name, member]) => settingsOf(member as z.ZodType, [...path, name]))
}

/** Form and words are made when they are asked for, because most programs start without. */
function settingOf(leaf: Omit<Setting, 'form' | 'allowed'>): Setting {
  const json = () => jsonSchemaOf(leaf.schema)
  return {
    ...leaf,
    get form() {
      return formOf(json())
    },
    get allowed() {
      return describeAllowed(json())
    },
  }
}

/** Everything that `createAudit` takes. */
export const settings: readonly Setting[] = settingsOf(optionsSchema)

/** The setting that `path` leads into: `destinations[0].url` leads into `destinations`. */
export function settingAt(path: string): Setting | undefined {
  return settings.find(
    (one) => path === one.path || (/^[.[]/.test(path.slice(one.path.length)) && path.startsWith(one.path)),
  )
}

/** What stands at a path of an object, if anything. */
export function valueAt(holder: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => {
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
  }, holder)
}

/** An object with these values at their paths. */
export function nest(values: Iterable<readonly [path: string, value: unknown]>): Record<string, unknown> {
  const root: Record<string, unknown> = {}
  for (const [path, value] of values) {
    const names = path.split('.')
    const last = names.pop() ?? ''
    let holder = root
    for (const name of names) {
      holder[name] ??= {}
      holder = holder[name] as Record<string, unknown>
    }
    holder[last] = value
  }
  return root
}

/** The part of JSON Schema that is asked here. */
export interface JsonSchema {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly pattern?: string
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
}

export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema
}

function unwrap(schema: z.ZodType): { readonly inner: z.ZodType; readonly byDefault: unknown } {
  if (schema instanceof z.ZodDefault)
    return { inner: schema.def.innerType as z.ZodType, byDefault: schema.def.defaultValue }
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault)
    return unwrap(schema.def.innerType as z.ZodType)
  return { inner: schema, byDefault: undefined }
}

function formOf({ type, items, anyOf = [] }: JsonSchema): Form {
  if (type === 'integer') return 'whole number'
  if (type === 'number' || type === 'boolean') return type
  if (type === 'array') return items?.type === 'string' ? 'list' : 'json'
  if (type === 'object') return 'json'
  return anyOf.some((one) => one.type === 'array') ? 'list' : 'text'
}

function describeAllowed(json: JsonSchema): string {
  const { type, minimum, maximum, minLength = 0, items, anyOf } = json
  if (json.const !== undefined) return JSON.stringify(json.const)
  if (json.enum !== undefined) return json.enum.map((value) => JSON.stringify(value)).join(', ')
  if (type === 'boolean') return 'true, false'
  if (type === 'integer') return `a whole number${describeRange(minimum, maximum)}`
  if (type === 'number') return `a number${describeRange(minimum, maximum)}`
  if (type === 'string')
    return minLength > 1 ? `a string of at least ${minLength} characters` : 'a string that is not empty'
  if (type === 'array') return items?.enum === undefined ? 'a list' : `a list of ${describeAllowed(items)}`
  if (type === 'object') return 'an object'
  return anyOf?.[0] === undefined ? 'a value made by a program' : describeAllowed(anyOf[0])
}

function describeRange(minimum: number | undefined, maximum: number | undefined): string {
  const hasMaximum = maximum !== undefined && maximum !== Number.MAX_SAFE_INTEGER
  if (minimum !== undefined && hasMaximum) return ` from ${minimum} to ${maximum}`
  return minimum === undefined ? '' : `, at least ${minimum}`
}
