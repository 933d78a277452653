/** The stream that is being written in a spool, as far as it is durable: what a destination's head is compared with. */

import { leafHash } from '../chain/hash.ts'
import { AuditError, errorCode } from '../errors.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import type { Files } from '../spool/files.ts'
import type { SpoolEnd } from '../spool/positions.ts'
import { SpoolReader } from '../spool/reader.ts'
import { readSegmentHeader } from '../spool/segment.ts'

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
    const reader = new SpoolReader(this.#files, this.#spool.directory, this.#spool.durable)
    try {
      return attempt(() => {
        reader.seek({ confirmed: { stream, sequence: sequence - 1 } })
        const [record] = reader.next({ records: 1, bytes: 1 })
        return record?.stream === stream && record.sequence === sequence ? leafHash(record.bytes) : undefined
      })
    } finally {
      reader.close()
    }
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
