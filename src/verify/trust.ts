/**
 * The trust file: whose signatures count, when, which streams there must be, which witnesses must have seen them, and whose
 * operations count. It comes from outside the data and is the whole of what is believed beside `--vkey`. Pure; a file that
 * is not understood in every member is refused.
 *
 *   { "keys": [{ "key": "prod+1b2c3d4e+AT…", "from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z" }],
 *     "origins": ["prod/0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8071", "staging/*"],
 *     "witnesses": { "keys": ["w1+5e6f7a8b+BD…"], "required": 1, "origins": ["prod/*"] }, "pruners": ["prod/*"] }
 */

import { originOf } from '../chain/checkpoint.ts'
import type { Witness } from '../chain/cosignature.ts'
import type { Verifier } from '../chain/note.ts'
import { isSameKey } from './key-ring.ts'

/** A key that is believed for records sealed from a time on, until another. */
export interface TrustedKey {
  readonly verifier: Verifier
  /** As in a record: nine fractional digits, `Z`. */
  readonly from: string | undefined
  readonly until: string | undefined
}

/** Which witnesses must have cosigned a stream. */
export interface WitnessRule {
  readonly witnesses: readonly Witness[]
  /** How many of them. */
  readonly required: number
  isAsked(deployment: string, stream: string): boolean
}

/** A stream or key whose operations count. */
export type Operator = { readonly origin: string } | { readonly verifier: Verifier }

export interface TrustFile {
  readonly keys: readonly TrustedKey[]
  /** Origins that may stand in a copy, `deployment/*` for any stream of a deployment; undefined: any that a key signs. */
  readonly origins: readonly string[] | undefined
  readonly witnesses?: WitnessRule | undefined
  /** Whose word on a removal or an erasure counts; undefined: that of any stream that a key signs. */
  readonly operators?: readonly Operator[] | undefined
  /** The same of removals alone. */
  readonly pruners?: readonly Operator[] | undefined
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
  return origins === undefined || isNamed(origins, deployment, stream)
}

/** Whether `deployment/stream` or `deployment/*` is one of the origins. */
export function isNamed(origins: readonly string[], deployment: string, stream: string): boolean {
  return origins.includes(originOf(deployment, stream)) || origins.includes(`${deployment}/*`)
}

/** A stream as far as it says who operates. */
export interface OperatingStream {
  readonly deployment: string | undefined
  readonly stream: string
  /** The keys that have signed checkpoints of it. */
  readonly signers: readonly Verifier[]
}

/** Whether what a stream says of others counts: a removal when `act` is `prune`, else an erasure or another act. */
export function mayOperate(trust: TrustFile | undefined, act: 'prune' | 'erase', stream: OperatingStream): boolean {
  const allowed = act === 'prune' ? (trust?.pruners ?? trust?.operators) : trust?.operators
  return allowed === undefined || allowed.some((one) => isOperator(one, stream))
}

function isOperator(one: Operator, { deployment, stream, signers }: OperatingStream): boolean {
  if ('origin' in one) return deployment !== undefined && isNamed([one.origin], deployment, stream)
  // All of them: a stream that another key has signed in part could hold the other key's word.
  return signers.length > 0 && signers.every((key) => isSameKey(key, one.verifier))
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
