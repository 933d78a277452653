/**
 * A copy whose unchanged part was read before. Each try changes one byte: the real reader reads what stands around it anew,
 * and the whole copy is verified from what was just read and what is remembered. Always holds: what a reader makes of a
 * part depends on that part and its neighbours alone; where it may not, there is no such source, and all is read again.
 */

import { hash } from 'node:crypto'
import { leafHash } from '../../src/chain/hash.ts'
import { parseRecord } from '../../src/event/record.ts'
import type { Damage, FoundRecord, Source } from '../../src/verify/source.ts'
import { createOtlpSource } from '../../src/verify/sources/otlp.ts'

export type Group = readonly (FoundRecord | Damage)[]

const newline = 0x0a

/** Everything that a source gives. */
export async function readGroups(source: Source): Promise<Group[]> {
  const groups: Group[] = []
  for await (const group of source.read()) groups.push(group.map(withOneComparison))
  return groups
}

/** Its members are the same every time: what is derived from them is compared once. */
function withOneComparison(one: FoundRecord | Damage): FoundRecord | Damage {
  if (one.damage !== undefined || one.checkProjection === undefined) return one
  const { checkProjection } = one
  let known: { readonly mismatch: ReturnType<typeof checkProjection> } | undefined
  return {
    ...one,
    checkProjection(members, leaf) {
      known ??= { mismatch: checkProjection(members, leaf) }
      return known.mismatch
    },
  }
}

/** `source`, giving these groups instead of what it would read. */
export function withGroups(source: Source, groups: readonly Group[]): Source {
  return {
    ...source,
    async *read() {
      yield* groups
    },
  }
}

/** A copy with one byte changed. Where `outcome` is the same, verification is handed the same, but for what it only prints. */
export interface ChangedCopy {
  readonly source: Source
  readonly outcome: string
}

/** Opens a collector's file with one byte changed; undefined where its lines or its kind may be others than before. */
export async function rememberLines(
  sound: Buffer,
): Promise<(changed: Buffer, at: number) => Promise<ChangedCopy | undefined>> {
  const groups = await readGroups(openLines(sound))
  const starts = [0]
  for (let at = sound.indexOf(newline); at !== -1; at = sound.indexOf(newline, at + 1)) starts.push(at + 1)
  return async (changed, at) => {
    const line = starts.findLastIndex((start) => start <= at)
    const isAtEdge = line === 0 || line >= groups.length - 1
    const [from, to] = [line - 1, line + 2]
    if (isAtEdge || changed[at] === newline || starts.includes(at + 1)) return undefined
    const near = await readGroups(openLines(changed.subarray(starts[from], starts[to])))
    if (near.length !== to - from) throw new Error(`${near.length} lines, where ${to - from} were`)
    const placed = near.map((group) => group.map((one) => ({ ...one, position: one.position + from })))
    const source = withGroups(openLines(changed), groups.toSpliced(from, placed.length, ...placed))
    return { source, outcome: hash('sha256', JSON.stringify([from, placed.map((group) => group.map(outcomeOf))])) }
  }
}

/** All that a verdict depends on: of a derived value that is wrong, which one it is. */
function outcomeOf(one: FoundRecord | Damage): unknown {
  if (one.damage !== undefined) return one
  const { bytes, place, checkProjection } = one
  const mismatch = checkProjection?.(parseRecord(bytes) ?? {}, leafHash(bytes))
  return [Buffer.from(bytes).toString('latin1'), place, mismatch?.name]
}

function openLines(bytes: Buffer): Source {
  return createOtlpSource('collector.jsonl', async function* () {
    yield bytes
  })
}
