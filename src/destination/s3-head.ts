/**
 * Finds the last object of a stream among very many: keys sort by first number, and a listing can begin anywhere, so it
 * takes about two listings of one key for each doubling of the number of records.
 */

import type { StreamHead } from './destination.ts'
import { keyBefore, parseKey, streamPrefix } from './s3-key.ts'

/** The first key behind this one in the stream's listing. */
export type ListAfter = (startAfter: string) => Promise<string | undefined>

/** The last record that objects of the stream tell of; `undefined` without any. */
export async function findHead(
  { prefix, stream }: { readonly prefix: string; readonly stream: string },
  listAfter: ListAfter,
): Promise<StreamHead | undefined> {
  const rangeAfter = async (startAfter: string) => parseKey((await listAfter(startAfter)) ?? '')
  const rangeFrom = (sequence: number) => rangeAfter(keyBefore(prefix, stream, sequence))
  let last = await rangeAfter(streamPrefix(prefix, stream))
  if (last === undefined) return undefined
  /** No object begins with this record or a later one. */
  let beyond: number | undefined
  // Each listing depends on what the one before has found.
  for (let step = 1; beyond === undefined; step *= 2) {
    const probe = last.last + step
    const found = await rangeFrom(probe)
    if (found === undefined) beyond = probe
    else last = found
  }
  while (last.last + 1 < beyond) {
    const probe = Math.floor((last.last + 1 + beyond) / 2)
    const found = await rangeFrom(probe)
    if (found === undefined) beyond = probe
    else last = found
  }
  return { sequence: last.last, hash: last.hash }
}
