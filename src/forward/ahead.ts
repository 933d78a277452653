/**
 * Whether a destination knows more of our stream than we do: then this spool was restored from an older copy, or a copy
 * of it runs elsewhere, and what is sealed in this stream from now on contradicts what the destination holds. Asked
 * before the first record goes, and learnt from every fork. Found once a stream; what follows is the sealer's.
 */

import type { Batch, Delivery, Destination, HeadReading, StreamHead } from '../destination/destination.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import { sendingBy } from './sending-by.ts'

/** A record of our stream, as a destination holds it and we do not. */
export interface AheadRecord {
  readonly stream: string
  readonly sequence: number
  readonly hash: string | undefined
  /** The last durable record of the stream here. */
  readonly own: number
}

/** The stream being written here. */
export interface ComparedStream {
  end(): RecordNumber | undefined
  hashOf(record: RecordNumber): string | undefined
}

/** The destination, watched: `found` hears, once a stream, that it is ahead of the stream being written. */
export function watchAhead(
  destination: Destination,
  own: ComparedStream,
  found: (ahead: AheadRecord) => void,
): Destination {
  const watch = new AheadWatch(own, found)
  let isMet = destination.head === undefined
  /** One question for all who wait for its answer, so that they go on in their order. */
  let meeting: ReturnType<AheadWatch['meet']> | undefined
  return sendingBy(destination, async (batch, signal) => {
    if (!isMet) {
      meeting ??= watch.meet(destination, signal).finally(() => {
        meeting = undefined
      })
      const trouble = await meeting
      if (trouble !== undefined) return trouble
      isMet = true
    }
    const delivery = await destination.send(batch, signal)
    watch.lookAt(batch, delivery)
    return delivery
  })
}

class AheadWatch {
  readonly #own: ComparedStream
  readonly #found: (ahead: AheadRecord) => void
  #foundIn: string | undefined

  constructor(own: ComparedStream, found: (ahead: AheadRecord) => void) {
    this.#own = own
    this.#found = found
  }

  /** Compares heads; resolves to what keeps the destination from answering. */
  async meet(
    destination: Destination,
    signal: AbortSignal,
  ): Promise<Extract<HeadReading, { status: 'retry' }> | undefined> {
    const asked = this.#own.end()
    if (asked === undefined) return undefined
    const reading = await destination.head?.(asked.stream, signal)
    if (reading?.status === 'retry') return reading
    const own = this.#own.end() // again: it may have moved, and nothing reaches a destination before it is durable here
    if (reading?.head !== undefined && own?.stream === asked.stream) this.#compare(reading.head, own)
    return undefined
  }

  lookAt({ records }: Batch, delivery: Delivery): void {
    if (delivery.status !== 'rejected' || delivery.forked === undefined) return
    const { index, held } = delivery.forked
    const own = this.#own.end()
    if (own === undefined || records[index]?.stream !== own.stream) return // that stream has ended here already
    this.#tell({ stream: own.stream, ...held, own: own.sequence })
  }

  #compare({ sequence, hash }: StreamHead, own: RecordNumber): void {
    const isBeyond = sequence > own.sequence
    const ours = isBeyond || sequence === 0 ? undefined : this.#own.hashOf({ stream: own.stream, sequence })
    const isOther = ours !== undefined && hash !== undefined && ours !== hash
    if (isBeyond || isOther) this.#tell({ stream: own.stream, sequence, hash, own: own.sequence })
  }

  #tell(ahead: AheadRecord): void {
    if (this.#foundIn === ahead.stream) return
    this.#foundIn = ahead.stream
    this.#found(ahead)
  }
}
