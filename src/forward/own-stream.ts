/** The stream that is being written in a spool, as far as it is durable: what a destination's head is compared with. */

import { leafHash } from '../chain/hash.ts'
import { AuditError, errorCode } from '../errors.ts'
import type { StoredRecord } from '../event/record.ts'
import { readControl } from '../spool/control.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import type { Files } from '../spool/files.ts'
import type { SpoolEnd } from '../spool/positions.ts'
import { SpoolReader } from '../spool/reader.ts'
import { readPath, readSegmentHeader } from '../spool/segment.ts'

export interface OwnSpool {
  readonly directory: string
  readonly durable: () => SpoolEnd
}

export class OwnStream {
  readonly #files: Files
  readonly #spool: OwnSpool

  constructor(files: Files, spool: OwnSpool) {
    this.#files = files
    this.#spool = spool
  }

  /** The last durable record; sequence 0 where the stream has none yet. `undefined` while nobody can tell. */
  end(): RecordNumber | undefined {
    return attempt(() => {
      const { segment, nextSequence } = this.#spool.durable()
      const decoded = readSegmentHeader(this.#files, this.#spool.directory, segment)
      return decoded.ok ? { stream: decoded.header.stream, sequence: nextSequence - 1 } : undefined
    })
  }

  /** Leaf hash of a record that is retained; `undefined` for any other. Reads one segment at most. */
  hashOf({ stream, sequence }: RecordNumber): string | undefined {
    return attempt(() => {
      const record = firstBehind(this.#files, this.#spool, { stream, sequence: sequence - 1 })
      return record?.stream === stream && record.sequence === sequence ? leafHash(record.bytes) : undefined
    })
  }
}

/** The streams that a spool retains, as its segments have them, oldest first. Throws what reading them throws. */
export function streamsIn(files: Files, { directory, durable }: OwnSpool): string[] {
  const control = readControl(files, directory)
  if (control.kind !== 'state') return []
  const path = readPath(files, directory, { first: control.state.firstSegment, last: durable().segment })
  return path.map(({ header }) => header.stream)
}

/** The first durable record behind this one; without a number, the oldest that is retained. Throws as `streamsIn`. */
export function firstBehind(files: Files, spool: OwnSpool, number: RecordNumber | undefined): StoredRecord | undefined {
  const reader = new SpoolReader(files, spool.directory, spool.durable)
  try {
    reader.seek({ confirmed: number })
    return reader.next({ records: 1, bytes: 1 })[0]
  } finally {
    reader.close()
  }
}

/** What is gone or damaged just cannot be compared; whoever has to read it will say so. */
function attempt<Result>(look: () => Result | undefined): Result | undefined {
  try {
    return look()
  } catch (error) {
    if (error instanceof AuditError || errorCode(error) !== undefined) return undefined
    throw error
  }
}
