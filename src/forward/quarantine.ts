/**
 * What the forwarder does with records that a destination refuses for ever: asks which they are, and has them set
 * aside. Forked so far: they contradict what the destination holds, and sending them again can never help. Always
 * holds: they are durable in quarantine before that is sealed, and both before the cursor moves past them.
 */

import { leafHash } from '../chain/hash.ts'
import type { Delivery, StreamHead } from '../destination/destination.ts'
import { errorCode, errorText } from '../errors.ts'
import type { JsonObject } from '../event/canonical.ts'
import type { StoredRecord } from '../event/record.ts'

/** Records of one stream, in order, that a destination can never take. */
export interface ForkedRun {
  readonly records: readonly StoredRecord[]
  /** What the destination holds in the place of the first, or as its head, as far as it said. */
  readonly held?: StreamHead | undefined
  readonly reason: string
}

export interface Quarantine {
  /** Whether the record follows, in its stream, one that was set aside. */
  follows(record: StoredRecord): boolean
  /**
   * Puts the records away and has that sealed in the trail. Resolves to `undefined` when both are durable, otherwise
   * to why not yet; to be asked again then.
   */
  setAside(run: ForkedRun, signal: AbortSignal): Promise<string | undefined>
}

/**
 * The first forked run of a refused batch, and how many records go before it. Whatever follows a forked record in its
 * stream is forked too, because it names that one's hash.
 */
export function findForks(
  records: readonly StoredRecord[],
  { reason, forked }: Extract<Delivery, { status: 'rejected' }>,
  quarantine: Quarantine,
): { readonly from: number; readonly run: ForkedRun } | undefined {
  const [first] = records
  const from = first !== undefined && quarantine.follows(first) ? 0 : forked?.index
  const fork = from === undefined ? undefined : records[from]
  if (from === undefined || fork === undefined) return undefined
  const behind = records.slice(from)
  const end = behind.findIndex((record, at) => record.stream !== fork.stream || record.sequence !== fork.sequence + at)
  const held = forked?.index === from ? forked.held : undefined
  return { from, run: { records: end < 0 ? behind : behind.slice(0, end), held, reason } }
}

/** Where set-aside records are kept. */
export interface QuarantineKeeper {
  follows(record: StoredRecord): boolean
  /** Durable on return. Throws what the disk throws. */
  keep(run: ForkedRun): void
}

/** What is sealed as `audit.quarantined`: one fact a run, because an outage may leave very many forked records. */
export interface QuarantineFact {
  readonly stream: string
  readonly details: JsonObject
}

/** Has a fact sealed; resolves to whether it is durable in the trail. False on abort. */
export type SealFact = (fact: QuarantineFact, signal: AbortSignal) => Promise<boolean>

/** The quarantine of the destination with this name. */
export function createQuarantine(name: string, keeper: QuarantineKeeper, seal: SealFact): Quarantine {
  return {
    follows: (record) => keeper.follows(record),
    async setAside(run, signal) {
      try {
        keeper.keep(run)
      } catch (error) {
        if (errorCode(error) === undefined) throw error
        return `they cannot be set aside: ${errorText(error)}`
      }
      return (await seal(factOf(name, run), signal)) ? undefined : 'that they were set aside is not sealed yet'
    },
  }
}

function factOf(destination: string, { records, held, reason }: ForkedRun): QuarantineFact {
  const [first, last] = [records[0], records.at(-1)]
  if (first === undefined || last === undefined) throw new RangeError('a run without records')
  const { stream, sequence } = first
  const rest = first === last ? {} : { to: last.sequence, to_hash: leafHash(last.bytes) }
  const named = { stream, seq: sequence, hash: leafHash(first.bytes), ...rest, ...heldMembers(held) }
  return { stream, details: { destination, ...named, reason: `FORKED: ${reason}` } }
}

/** What a destination holds, as members of a fact or of a line. */
export function heldMembers(held: StreamHead | undefined): { held_seq?: number; held_hash?: string } {
  if (held === undefined) return {}
  return { held_seq: held.sequence, ...(held.hash === undefined ? {} : { held_hash: held.hash }) }
}
