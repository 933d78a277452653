/** A database that holds a trail of chosen age, and an operations stream that seals into it. */

import type { TestContext } from 'node:test'
import { createPostgresDestination } from '../../src/destination/postgres.ts'
import type { Partitioning } from '../../src/postgres/records.ts'
import type { Statement } from '../../src/postgres/retention-ranges.ts'
import { migratedDatabase } from './migrated.ts'
import { type Keys, makeKeys, TrailWriter } from './trail.ts'

export const keys: Keys = makeKeys('prod')
export const streamA = '019b7c2f-1111-7000-8000-000000000001'
export const streamB = '019b7c2f-1111-7000-8000-000000000002'
const operationsStream = '019b7c2f-1111-7000-8000-00000000000f'
const dayMs = 86_400_000

/** A time this many days ago, with nine digits. */
export function daysAgo(days: number): string {
  return `${new Date(Date.now() - days * dayMs).toISOString().slice(0, 19)}.000000000Z`
}

/** A writer whose records have the age that `ageOf` says, in days. */
export class AgedWriter extends TrailWriter {
  readonly #ageOf: (sequence: number) => number
  readonly #members: (sequence: number) => Record<string, unknown>

  constructor(
    stream: string,
    ageOf: (sequence: number) => number,
    members: (sequence: number) => Record<string, unknown> = () => ({}),
  ) {
    super(stream, keys)
    this.#ageOf = ageOf
    this.#members = members
  }

  override seal(members: Record<string, unknown>): this {
    const sequence = this.lines.length + 1
    const at = daysAgo(this.#ageOf(sequence))
    return super.seal({ recorded: at, timestamp: at, ...members, ...this.#members(sequence) })
  }
}

/** `opened`, `count` records with a checkpoint after each `interval`, `closed`, checkpoint. */
export function aged(writer: AgedWriter, count: number, interval: number): AgedWriter {
  writer.open()
  for (let made = 0; made < count; made += interval) writer.act(Math.min(interval, count - made)).checkpoint()
  return writer.close() as AgedWriter
}

export interface AgedDatabase {
  readonly url: string
  /** Puts the records of a writer there, from a number on. */
  deliver(writer: TrailWriter, from?: number): Promise<void>
  /** As an operations stream does. */
  seal(statement: Statement): Promise<boolean>
  readonly operations: TrailWriter
}

export async function agedDatabase(t: TestContext, partition?: Partitioning): Promise<AgedDatabase> {
  return ageDatabase((await migratedDatabase(t, partition)).url)
}

/** Of a migrated database. */
export function ageDatabase(url: string, stream = operationsStream): AgedDatabase {
  const operations = new AgedWriter(stream, () => 0).open()
  let delivered = 0
  const deliver = async (writer: TrailWriter, from = 1): Promise<void> => {
    const destination = createPostgresDestination({ type: 'postgres', url })
    for (let at = from - 1; at < writer.lines.length; at += 2_000) {
      const records = writer.lines.slice(at, at + 2_000).map((line, index) => {
        return { stream: writer.stream, sequence: at + index + 1, bytes: Buffer.from(line) }
      })
      // In order: the database takes no gaps.
      const delivery = await destination.send({ records, bytes: 1 }, AbortSignal.timeout(60_000))
      if (delivery.status !== 'delivered') throw new Error(JSON.stringify(delivery))
    }
    await destination.close()
  }
  return {
    url,
    deliver,
    operations,
    async seal(statement) {
      operations.seal({ action: 'audit.pruned', event_type: 'audit.pruned', details: { ...statement } }).checkpoint()
      await deliver(operations, delivered + 1)
      delivered = operations.lines.length
      return true
    },
  }
}
