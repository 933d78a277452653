/**
 * Going back for a destination that keeps the chain and turns out to be an older copy of itself (a restore, a failover
 * that lost commits). Always holds: delivery begins again behind the last record that it holds; what the spool has given
 * back by then is sealed as an `audit.gap` before anything behind the gap is sent. Nothing is overwritten: a destination
 * that holds other records is a matter of forks (`quarantine.ts`).
 */

import type { Batch, DeclaredGap, Delivery, Destination, Retry } from '../destination/destination.ts'
import { AuditError, errorCode, errorText } from '../errors.ts'
import type { JsonObject } from '../event/canonical.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import type { SealFact } from './quarantine.ts'

/** What is asked of the place that records come from. */
export interface RewindSource {
  /** The last record that the destination has confirmed. */
  readonly confirmed: RecordNumber | undefined
  /** Begins again behind this record, or with the oldest that is retained; nothing behind it is given back any more. */
  rewind(to: RecordNumber | undefined): void
  /** The streams that are retained, oldest first. */
  streams(): readonly string[]
  /** The first record that is retained behind this one. */
  firstBehind(number: RecordNumber | undefined): StoredRecord | undefined
}

export interface RewindParts {
  readonly destination: Pick<Destination, 'name' | 'head' | 'cross'>
  readonly source: RewindSource
  readonly seal: SealFact
}

/** `isBack`: the source gives other records now than those in hand. `reason`: what is to be said of it. */
export interface Rewound {
  readonly isBack: boolean
  readonly reason: string
}

/** The last record that a destination holds; nothing where it holds none of the streams that are retained. */
type Held = RecordNumber | undefined

export class Rewind {
  readonly #parts: RewindParts
  /** Facts of this run that are sealed: a database that is away in between does not make them true twice. */
  readonly #sealed = new Set<string>()

  constructor(parts: RewindParts) {
    this.#parts = parts
  }

  /** Goes back to what the destination lacks before this batch. Rejects only for a defect of ours. */
  async goBack({ records: [next] }: Batch, signal: AbortSignal): Promise<Rewound> {
    try {
      const { confirmed } = this.#parts.source
      const found = await this.#findHeld(confirmed ?? next, signal)
      if (found.status === 'retry') return { isBack: false, reason: found.reason }
      return await this.#goBehind(nearer(found.held, confirmed), signal)
    } catch (error) {
      if (!(error instanceof AuditError) && errorCode(error) === undefined) throw error
      return { isBack: false, reason: `it is behind, and the spool cannot be read: ${errorText(error)}` }
    }
  }

  async #goBehind(held: Held, signal: AbortSignal): Promise<Rewound> {
    const { name } = this.#parts.destination
    const { source } = this.#parts
    const { confirmed } = source
    const isBehind = !isSame(held, confirmed)
    if (isBehind) await this.#seal('audit.destination.rewound', rewoundDetails(name, { held, confirmed }), signal)
    for (let isBack = false; ; isBack = true) {
      const gap = findGap(source, { held, confirmed })
      if (gap !== undefined && !(await this.#seal('audit.gap', gapDetails(name, gap), signal)))
        return {
          isBack,
          reason: `it lacks ${describe(gap)}, which the spool has no more, and that cannot be sealed now`,
        }
      if (!isBack) source.rewind(held)
      // Only now nothing more is given back, so the gap is looked at once more.
      else return { isBack, reason: (await this.#cross(gap, held, signal)) ?? backText({ held, isBehind, gap }) }
    }
  }

  /** Why the gap could not be crossed. A stream that is new to the destination may begin anywhere there. */
  async #cross(gap: DeclaredGap | undefined, held: Held, signal: AbortSignal): Promise<string | undefined> {
    if (gap === undefined || gap.stream !== held?.stream) return undefined
    const delivery: Delivery | undefined = await this.#parts.destination.cross?.(gap, signal)
    return delivery === undefined || delivery.status === 'delivered' ? undefined : delivery.reason
  }

  /** The newest of the streams up to this record of which the destination holds anything, and how far. */
  async #findHeld(
    from: RecordNumber | undefined,
    signal: AbortSignal,
  ): Promise<{ status: 'known'; held: Held } | Retry> {
    if (from === undefined) return { status: 'known', held: undefined }
    const retained = this.#parts.source.streams()
    const upTo = retained.lastIndexOf(from.stream)
    const streams = upTo < 0 ? [from.stream] : [...new Set(retained.slice(0, upTo + 1))].reverse()
    for (const stream of streams) {
      // One after the other, newest first: in general the first answer is the last one needed.
      const reading = await this.#parts.destination.head?.(stream, signal)
      if (reading?.status === 'retry') return reading
      if (reading?.head !== undefined) return { status: 'known', held: { stream, sequence: reading.head.sequence } }
    }
    return { status: 'known', held: undefined }
  }

  async #seal(
    type: 'audit.destination.rewound' | 'audit.gap',
    details: JsonObject,
    signal: AbortSignal,
  ): Promise<boolean> {
    const text = JSON.stringify(details)
    if (this.#sealed.has(text)) return true
    const isSealed = await this.#parts.seal({ type, details }, signal)
    if (isSealed) this.#sealed.add(text)
    return isSealed
  }
}

/** A destination that knows more than its cursor does is behind nothing: a cursor may lag. */
function nearer(held: Held, confirmed: Held): Held {
  return held?.stream === confirmed?.stream && (held?.sequence ?? 0) > (confirmed?.sequence ?? 0) ? confirmed : held
}

function isSame(one: Held, other: Held): boolean {
  return one?.stream === other?.stream && one?.sequence === other?.sequence
}

/**
 * What lies between the last record that the destination holds and the first that can still be sent: of the stream that
 * was being delivered, where all of it is gone, else of the one that is oldest here.
 */
export function findGap(
  source: Pick<RewindSource, 'streams' | 'firstBehind'>,
  { held, confirmed }: { readonly held: Held; readonly confirmed: Held },
): DeclaredGap | undefined {
  const heldOf = (stream: string) => (held?.stream === stream ? held.sequence : 0)
  if (confirmed !== undefined && !source.streams().includes(confirmed.stream)) {
    const { stream, sequence: to } = confirmed
    const from = heldOf(stream) + 1
    return from > to ? undefined : { stream, from, to, hash: undefined }
  }
  const first = source.firstBehind(held)
  if (first === undefined) return undefined
  const [from, to] = [heldOf(first.stream) + 1, first.sequence - 1]
  return from > to ? undefined : { stream: first.stream, from, to, hash: parseRecord(first.bytes)?.prev }
}

function gapDetails(destination: string, { stream, from, to }: DeclaredGap): JsonObject {
  return { reason: 'older_copy', destination, stream, from, to, count: to - from + 1, bytes: 0 }
}

function rewoundDetails(destination: string, { held, confirmed }: { held: Held; confirmed: Held }): JsonObject {
  const had = confirmed && { confirmed: { stream: confirmed.stream, seq: confirmed.sequence } }
  return { destination, ...(held && { stream: held.stream, seq: held.sequence }), ...had }
}

function describe({ stream, from, to }: DeclaredGap): string {
  return from === to ? `record ${from} of stream ${stream}` : `records ${from} to ${to} of stream ${stream}`
}

function backText({ held, isBehind, gap }: { held: Held; isBehind: boolean; gap: DeclaredGap | undefined }): string {
  const place = held === undefined ? 'nothing' : `stream ${held.stream} up to ${held.sequence}`
  const gone = gap === undefined ? '' : `; ${describe(gap)} are gone here too, and a sealed audit.gap says so`
  return `${isBehind ? `it is an older copy of itself and holds ${place}: what it lacks is sent again` : `it holds ${place}`}${gone}`
}
