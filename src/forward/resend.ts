/**
 * Sends records of the spool again, as an operator asked: beside delivery, whose cursor stays where it is. Always holds:
 * what the spool does not have any more, and what the destination refuses, is named in the answer; the trail says what
 * was sent again before the request is done. A program that ends in between sends them once more, which their ids show.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { formatTimestamp, nowMs } from '../clock.ts'
import type { Delivery, Destination } from '../destination/destination.ts'
import { AuditError, errorCode, errorText } from '../errors.ts'
import type { StoredRecord } from '../event/record.ts'
import { batchBytesMax, batchRecordsMax } from '../limits.ts'
import type { Files } from '../spool/files.ts'
import { SpoolReader } from '../spool/reader.ts'
import type { SequenceRange } from '../verify/reconcile.ts'
import type { OwnSpool } from './own-stream.ts'
import type { SealFact } from './quarantine.ts'
import { answerResend, listResends, type ResendAnswer, type ResendRequest, readResend } from './resend-request.ts'

/** How often requests are looked for, and how long one that the destination does not take now waits, in milliseconds. */
const lookMs = 1_000
const restMs = 5_000
/** Most ranges named in the sealed fact; the count is of all. */
const rangesNamedMax = 100

export interface ResendParts {
  readonly files: Files
  readonly spool: OwnSpool
  readonly destination: Pick<Destination, 'name' | 'keepsChain' | 'send' | 'putBack'>
  readonly batch: { readonly batchRecordsMax?: number | undefined; readonly batchBytesMax?: number | undefined }
  readonly seal: SealFact
}

/** What has become of a request so far. */
interface Tally {
  sent: number
  readonly sentRanges: SequenceRange[]
  readonly gone: SequenceRange[]
  readonly refused: (SequenceRange & { readonly reason: string })[]
}

export class Resends {
  readonly #parts: ResendParts

  constructor(parts: ResendParts) {
    this.#parts = parts
  }

  /** Looks and sends what is asked for, while the signal lasts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.resendAsked(signal)
      await pause(lookMs, signal)
    }
  }

  /** Does what is asked now; returns early when the signal aborts. */
  async resendAsked(signal: AbortSignal): Promise<void> {
    const { files, spool, destination } = this.#parts
    for (const place of listResends(files, spool.directory, destination.name)) {
      const request = readResend(files, place)
      // One after the other: each in its order.
      const answer = request === undefined ? undefined : await this.#resend(request, signal)
      if (answer !== undefined) answerResend(files, place, answer)
    }
  }

  /** `undefined` when the signal aborted before it was done and sealed. */
  async #resend(request: ResendRequest, signal: AbortSignal): Promise<ResendAnswer | undefined> {
    const tally: Tally = { sent: 0, sentRanges: [], gone: [], refused: [] }
    for (const range of request.ranges) await this.#sendRange(range, tally, signal)
    const details = detailsOf(this.#parts.destination.name, request, tally)
    while (!signal.aborted) {
      if (await this.#parts.seal({ type: 'audit.destination.resent', details }, signal)) {
        const { sent, gone, refused } = tally
        return { sent, gone, refused, answered: formatTimestamp(nowMs()) }
      }
      await pause(lookMs, signal)
    }
    return undefined
  }

  async #sendRange(range: SequenceRange, tally: Tally, signal: AbortSignal): Promise<void> {
    const { files, spool } = this.#parts
    const reader = new SpoolReader(files, spool.directory, spool.durable)
    try {
      await this.#sendFrom(reader, range, { tally, signal })
    } catch (error) {
      if (!(error instanceof AuditError) && errorCode(error) === undefined) throw error
      tally.refused.push({ ...range, reason: `the spool cannot be read: ${errorText(error)}` })
    } finally {
      reader.close()
    }
  }

  async #sendFrom(
    reader: SpoolReader,
    { stream, from, to }: SequenceRange,
    { tally, signal }: { tally: Tally; signal: AbortSignal },
  ): Promise<void> {
    const { batch } = this.#parts
    const limit = { records: batch.batchRecordsMax ?? batchRecordsMax, bytes: batch.batchBytesMax ?? batchBytesMax }
    reader.seek({ confirmed: { stream, sequence: from - 1 } })
    for (let next = from; next <= to && !signal.aborted; ) {
      const read = reader.next(limit)
      const records = read.filter((one) => one.stream === stream && next <= one.sequence && one.sequence <= to)
      const [first, last] = [records[0]?.sequence ?? to + 1, records.at(-1)?.sequence ?? to]
      if (first > next) tally.gone.push({ stream, from: next, to: first - 1 })
      if (records.length > 0) await this.#send(records, tally, signal)
      next = last + 1
    }
  }

  /** Until it is answered; a batch that is refused, in halves, unless the destination takes all of a chain or nothing. */
  async #send(records: readonly StoredRecord[], tally: Tally, signal: AbortSignal): Promise<void> {
    const { destination } = this.#parts
    const batch = { records, bytes: records.reduce((sum, { bytes }) => sum + bytes.length, 0) }
    const send = destination.putBack?.bind(destination) ?? destination.send.bind(destination)
    let delivery: Delivery = { status: 'retry', reason: 'not sent yet' }
    while (!signal.aborted && delivery.status === 'retry') {
      delivery = await send(batch, signal)
      if (delivery.status === 'retry') await pause(restMs, signal)
    }
    if (delivery.status === 'delivered') return note(tally, records)
    if (delivery.status === 'retry') return
    if (records.length === 1 || destination.keepsChain === true) {
      tally.refused.push({ ...rangeOf(records), reason: delivery.reason })
      return
    }
    const half = Math.ceil(records.length / 2)
    await this.#send(records.slice(0, half), tally, signal)
    await this.#send(records.slice(half), tally, signal)
  }
}

function note(tally: Tally, records: readonly StoredRecord[]): void {
  tally.sent += records.length
  const [range, last] = [rangeOf(records), tally.sentRanges.at(-1)]
  if (last?.stream === range.stream && last.to === range.from - 1) tally.sentRanges.pop()
  const from = last?.stream === range.stream && last.to === range.from - 1 ? last.from : range.from
  tally.sentRanges.push({ ...range, from })
}

function rangeOf(records: readonly StoredRecord[]): SequenceRange {
  const [first, last] = [records[0], records.at(-1)]
  return { stream: first?.stream ?? '', from: first?.sequence ?? 0, to: last?.sequence ?? 0 }
}

function detailsOf(destination: string, { operator, why }: ResendRequest, { sent, sentRanges, gone, refused }: Tally) {
  const named = (ranges: readonly SequenceRange[]) =>
    ranges.slice(0, rangesNamedMax).map(({ stream, from, to }) => ({ stream, from, to }))
  return {
    destination,
    count: sent,
    ranges: named(sentRanges),
    ...(gone.length > 0 && { gone: named(gone) }),
    ...(refused.length > 0 && { refused: named(refused) }),
    operator,
    ...(why !== undefined && { why }),
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {}) // rejects only when the signal ends the wait
}
