/**
 * The trust file: whose signatures count, when, and which streams there must be. It comes from outside the data and is
 * the whole of what is believed beside `--vkey`. Pure; a file that is not understood in every member is refused.
 *
 *   { "keys": [{ "key": "prod+1b2c3d4e+AT…", "from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z" }],
 *     "origins": ["prod/0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8071", "staging/*"] }
 */

import { z } from 'zod'
import { parseVerifierKey, type Verifier } from '../chain/note.ts'
import { normalizeTimestamp } from '../clock.ts'
import { isSameKey } from './key-ring.ts'

/** A key that is believed for records sealed from a time on, until another. */
export interface TrustedKey {
  readonly verifier: Verifier
  /** As in a record: nine fractional digits, `Z`. */
  readonly from: string | undefined
  readonly until: string | undefined
}

export interface TrustFile {
  readonly keys: readonly TrustedKey[]
  /** Origins that may stand in a copy, `deployment/*` for any stream of a deployment; undefined: any that a key signs. */
  readonly origins: readonly string[] | undefined
}

const time = z.string().transform((text, context) => {
  const normal = normalizeTimestamp(text)
  if (normal !== undefined) return normal
  context.addIssue({ code: 'custom', message: 'a time is written as 2026-01-31T00:00:00Z' })
  return z.NEVER
})
const origin = z
  .string()
  .regex(/^[^\s+]+\/(\*|[0-9a-f-]{36})$/, 'an origin is deployment/stream, or deployment/* for all of its streams')
const schema = z.strictObject({
  keys: z
    .array(z.strictObject({ key: z.string(), from: time.optional(), until: time.optional() }))
    .min(1, 'no key is trusted'),
  origins: z.array(origin).min(1, 'leave origins out to take any that a key signs').optional(),
})

/** Reads a trust file; why it is none otherwise. */
export function parseTrust(text: string): TrustFile | string {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return 'it is no JSON'
  }
  const read = schema.safeParse(parsed)
  if (!read.success)
    return read.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`).join('; ')
  const keys: TrustedKey[] = []
  for (const [at, { key, from, until }] of read.data.keys.entries()) {
    const verifier = parseVerifierKey(key)
    if ('problem' in verifier) return `keys.${at}.key: ${verifier.reason}`
    if (from !== undefined && until !== undefined && from >= until) return `keys.${at}: it ends before it begins`
    keys.push({ verifier, from, until })
  }
  return { keys, origins: read.data.origins }
}

/** Whether a key counts for a checkpoint that was sealed at this time, as the record says. Keys not named count always. */
export function isValidAt(keys: readonly TrustedKey[], key: Verifier, recorded: string | undefined): boolean {
  const own = keys.filter(({ verifier }) => isSameKey(verifier, key))
  if (own.length === 0) return true
  return own.some(({ from, until }) => {
    if (from === undefined && until === undefined) return true
    if (recorded === undefined) return false
    return (from === undefined || from <= recorded) && (until === undefined || recorded < until)
  })
}

/** Whether a stream of this deployment may stand in a copy. */
export function isOriginTrusted({ origins }: Pick<TrustFile, 'origins'>, deployment: string, stream: string): boolean {
  return origins === undefined || origins.includes(`${deployment}/${stream}`) || origins.includes(`${deployment}/*`)
}

/** The streams that must be there: every origin that is named in full. */
export function requiredStreams({
  origins = [],
}: Pick<TrustFile, 'origins'>): { deployment: string; stream: string }[] {
  return origins.flatMap((origin) => {
    const at = origin.lastIndexOf('/')
    const [deployment, stream] = [origin.slice(0, at), origin.slice(at + 1)]
    return stream === '*' ? [] : [{ deployment, stream }]
  })
}
