/** Cuts the records of a batch where their stream changes or a number is left out. */

import type { StoredRecord } from '../event/record.ts'

/** Neighbouring records of one stream whose numbers follow each other, and where they begin in the batch. */
export interface Run {
  readonly start: number
  readonly records: readonly StoredRecord[]
}

export function cutRuns(records: readonly StoredRecord[]): Run[] {
  const runs: { start: number; records: StoredRecord[] }[] = []
  for (const [index, record] of records.entries()) {
    const before = records[index - 1]
    const follows = before?.stream === record.stream && before.sequence + 1 === record.sequence
    const last = runs.at(-1)
    if (follows && last !== undefined) last.records.push(record)
    else runs.push({ start: index, records: [record] })
  }
  return runs
}
