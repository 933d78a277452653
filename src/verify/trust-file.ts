/**
 * Reads a trust file. Always holds: whatever is wrong with it is said with the member, the value that stands there, and
 * what is allowed; nothing of a file that is not understood is believed. Pure.
 */

import { z } from 'zod'
import { parseWitnessKey, type Witness } from '../chain/cosignature.ts'
import { parseVerifierKey, type Verifier } from '../chain/note.ts'
import { normalizeTimestamp } from '../clock.ts'
import { isNamed, type Operator, type TrustFile } from './trust.ts'

/** What a text stands for, or why it stands for nothing. */
function read<Meaning>(parse: (text: string) => Meaning | string) {
  return z.string('a text').transform((text, context): Meaning => {
    const meaning = parse(text)
    if (typeof meaning !== 'string') return meaning
    context.addIssue({ code: 'custom', message: meaning })
    return z.NEVER
  })
}

const time = z.string('a time such as 2026-01-31T00:00:00Z').transform((text, context) => {
  const normal = normalizeTimestamp(text)
  if (normal !== undefined) return normal
  context.addIssue({ code: 'custom', message: 'a time is written as 2026-01-31T00:00:00Z' })
  return z.NEVER
})
const originForm = /^[^\s+]+\/(\*|[0-9a-f-]{36})$/
const originRule = 'an origin is deployment/stream, or deployment/* for all of its streams'
const origin = z.string(originRule).regex(originForm, originRule)
const origins = z.array(origin, 'a list of origins')

const key = read<Verifier>((text) => {
  const verifier = parseVerifierKey(text)
  return 'problem' in verifier ? verifier.reason : verifier
})
const witness = read<Witness>((text) => {
  const parsed = parseWitnessKey(text)
  return 'problem' in parsed ? `${parsed.reason}; "otel-audit witness" prints it when it starts` : parsed
})
const operator = read<Operator>((text) => {
  if (originForm.test(text)) return { origin: text }
  const verifier = parseVerifierKey(text)
  return 'problem' in verifier ? `${originRule}; ${verifier.reason}` : { verifier }
})

const trustedKey = z
  .strictObject({ key, from: time.optional(), until: time.optional() })
  .refine(({ from, until }) => from === undefined || until === undefined || from < until, 'it ends before it begins')

const witnesses = z
  .strictObject({
    keys: z.array(witness, 'a list of keys of witnesses').min(1, 'name at least one witness'),
    required: z.int('a whole number').min(1, 'at least 1, or leave witnesses out').optional(),
    origins: origins.min(1, 'leave origins out to demand them of every stream').optional(),
  })
  .refine(({ keys, required = 1 }) => required <= keys.length, {
    message: 'more are required than there are keys',
    path: ['required'],
  })
  .refine(({ keys }) => new Set(keys.map(({ name, keyId }) => `${name}+${keyId}`)).size === keys.length, {
    message: 'one witness is named twice',
    path: ['keys'],
  })

const operators = z.array(operator, 'a list of origins and verifier keys')
const schema = z.strictObject({
  keys: z.array(trustedKey, 'a list of {"key", "from", "until"}').min(1, 'no key is trusted'),
  origins: origins.min(1, 'leave origins out to take any that a key signs').optional(),
  witnesses: witnesses.optional(),
  operators: operators.optional(),
  pruners: operators.optional(),
})

/** Reads a trust file; why it is none otherwise. */
export function parseTrust(text: string): TrustFile | string {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return 'it is no JSON'
  }
  const result = schema.safeParse(parsed)
  if (!result.success) return result.error.issues.map((issue) => describe(issue, parsed)).join('; ')
  const { keys, origins: allowed, witnesses: demanded, operators: acting, pruners } = result.data
  return {
    keys: keys.map(({ key: verifier, from, until }) => ({ verifier, from, until })),
    origins: allowed,
    operators: acting,
    pruners,
    ...(demanded !== undefined && { witnesses: ruleOf(demanded) }),
  }
}

function ruleOf({ keys, required, origins: asked }: z.output<typeof witnesses>): TrustFile['witnesses'] {
  const isAsked = (deployment: string, stream: string): boolean =>
    asked === undefined || isNamed(asked, deployment, stream)
  return { witnesses: keys, required: required ?? keys.length, isAsked }
}

/** The member, what stands there, and what is allowed. */
function describe({ path, message, ...issue }: z.core.$ZodIssue, parsed: unknown): string {
  const held = path.reduce<unknown>((value, name) => (value as Record<PropertyKey, unknown> | null)?.[name], parsed)
  const where = path.length === 0 ? 'the file' : path.join('.')
  if (issue.code === 'unrecognized_keys') {
    const known = 'keys' in issue ? issue.keys.join(', ') : ''
    return `${where} has the unknown member ${known}`
  }
  return held === undefined
    ? `${where} is missing: ${message}`
    : `${where} is ${shorten(JSON.stringify(held))}: ${message}`
}

const shownMax = 80

function shorten(text: string): string {
  return text.length > shownMax ? `${text.slice(0, shownMax)}…` : text
}
