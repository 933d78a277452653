/**
 * Names of objects: which records are in one can be told from its key alone, and keys of a stream sort by the numbers of
 * their first records.
 *   <prefix><stream>/<first>-<last>-<leaf hash of the last>.ndjson.gz     numbers in 16 digits
 */

import { leafHash } from '../chain/hash.ts'
import type { StoredRecord } from '../event/record.ts'
import { type Compression, suffixes } from './compression.ts'

const digits = 16

export interface ObjectRange {
  readonly first: number
  readonly last: number
  readonly hash: string
}

/** `records` of one stream, without a hole. */
export function objectKey(prefix: string, records: readonly StoredRecord[], compression: Compression): string {
  const [first] = records
  const last = records.at(-1)
  if (first === undefined || last === undefined) throw new Error('an object holds at least one record')
  const range = `${pad(first.sequence)}-${pad(last.sequence)}-${leafHash(last.bytes)}`
  return `${streamPrefix(prefix, first.stream)}${range}.ndjson${suffixes[compression]}`
}

/** What every key of a stream begins with. */
export function streamPrefix(prefix: string, stream: string): string {
  return `${prefix}${stream}/`
}

/** Sorts before the keys of objects that begin with this record or later, and behind all others. */
export function keyBefore(prefix: string, stream: string, sequence: number): string {
  return `${streamPrefix(prefix, stream)}${pad(sequence)}`
}

/** What a key says; `undefined` for the key of something else. */
export function parseKey(key: string): ObjectRange | undefined {
  const [, first, last, hash] = /\/(\d{16})-(\d{16})-([0-9a-f]{64})\.ndjson(?:\.gz|\.zst)?$/.exec(key) ?? []
  return hash === undefined ? undefined : { first: Number(first), last: Number(last), hash }
}

function pad(sequence: number): string {
  return String(sequence).padStart(digits, '0')
}
