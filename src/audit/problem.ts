/**
 * What is wrong with a configuration, in one form: the setting as its writer knows it, its value unless that could be a
 * secret, what is allowed, what to do. Collected by `config check`; the first one ends a start.
 */

import type { z } from 'zod'
import { AuditError } from '../errors.ts'
import { nearest } from './nearest.ts'
import { settingAt, settings } from './settings.ts'

/** Something that is wrong with a configuration. */
export interface Problem {
  /** As it is written: `spool.bytesMax`, `AUDIT_SPOOL_BYTES_MAX`. */
  readonly setting: string
  /** What it is and what is allowed. */
  readonly message: string
  /** What to do about it. */
  readonly hint: string
}

/** A value that is not allowed. */
export interface WrongValue {
  readonly setting: string
  readonly value: unknown
  readonly allowed: string
  readonly hint?: string
  /** Never shown. Default: told by the setting's name. */
  readonly isSecret?: boolean
}

export function problemOf({ setting, value, allowed, hint, isSecret = hasSecretName(setting) }: WrongValue): Problem {
  const shown = isSecret ? '(not shown)' : describeValue(value)
  return { setting, message: `${setting} is ${shown}; allowed: ${allowed}`, hint: hint ?? defaultHint(setting) }
}

export function errorOf({ setting, message, hint }: Problem): AuditError {
  return new AuditError('INVALID_OPTION', message, { setting, hint })
}

/** The problems of a value that `issues` of zod describe. `nameOf` turns a path of options into the writer's word. */
export function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  nameOf: (path: string) => string,
): Problem[] {
  return issues.map((issue) => {
    const keys = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : issue.path
    let wrong: unknown = value
    for (const key of keys) wrong = (wrong as Record<PropertyKey, unknown> | undefined)?.[key]
    const path = formatPath(keys)
    const found = { setting: nameOf(path) || 'options', value: wrong, allowed: allowedBy(issue, path) }
    const isSecret = hasSecretName(path)
    return problemOf(
      issue.code === 'unrecognized_keys' ? { ...found, isSecret, hint: hintUnknown(path) } : { ...found, isSecret },
    )
  })
}

/** What would have been allowed where zod found an issue. */
export function allowedBy(issue: z.core.$ZodIssue, path: string): string {
  if (issue.code === 'unrecognized_keys') return 'absent: there is no such option'
  const setting = settingAt(path)
  const isWhole = setting?.path === path
  if (isWhole && issue.code !== 'custom' && issue.code !== 'invalid_format') return setting.allowed
  return wordsOf(issue)
}

const typeWords: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
}

/** What zod would have taken, in a user's words; a schema's own message as it is. */
function wordsOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value') return issue.values.map((value) => JSON.stringify(value)).join(', ')
  if (!/^(?:Invalid|Too) /.test(issue.message)) return issue.message
  switch (issue.code) {
    case 'invalid_type':
      return typeWords[issue.expected] ?? issue.expected
    case 'invalid_key':
      return issue.issues[0] === undefined ? 'another name' : wordsOf(issue.issues[0])
    case 'too_small':
      if (issue.origin === 'string') return 'a text that is not empty'
      return `${typeWords[issue.origin] ?? issue.origin} ${issue.inclusive ? 'of at least' : 'above'} ${issue.minimum}`
    case 'too_big':
      return `${typeWords[issue.origin] ?? issue.origin} ${issue.inclusive ? 'of at most' : 'below'} ${issue.maximum}`
    default:
      return issue.message
        .replace(/^Invalid (?:input|discriminator value)[:.] (?:Expected )?/, '')
        .replaceAll("' | '", "', '")
  }
}

/** Whether a value under this name must never be printed. The path of a file is no secret. */
export function hasSecretName(path: string): boolean {
  const setting = settingAt(path)
  if (setting?.path === path) return setting.note.isSecret === true
  return !/_?file$/i.test(path) && /url|headers|key|secret|token|password/i.test(path)
}

function hintUnknown(path: string): string {
  const meant = nearest(
    path,
    settings.map((one) => one.path),
  )
  const list = 'docs/configuration.md lists every option'
  return meant === undefined ? `Leave it out; ${list}.` : `Did you mean ${meant}? ${list}.`
}

/** As people write it: `destinations[0].url`. */
export function formatPath(keys: readonly PropertyKey[]): string {
  return keys.reduce<string>((text, key) => {
    if (typeof key === 'string' && /^[\w-]+$/.test(key)) return text === '' ? key : `${text}.${key}`
    return `${text}[${JSON.stringify(key)}]`
  }, '')
}

/** A user in a URL, or a query. */
const credentials = /:\/\/[^/]*@|:\/\/.*\?/

function describeValue(value: unknown): string {
  if (value === undefined) return 'absent'
  if (value === '') return 'empty'
  if (typeof value === 'string' && credentials.test(value)) return '(not shown)'
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  return JSON.stringify(value)?.slice(0, 200) ?? String(value)
}

function defaultHint(setting: string): string {
  return `Set ${setting} as docs/configuration.md describes, or leave it out for its default.`
}
