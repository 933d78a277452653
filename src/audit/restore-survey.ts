/**
 * What of one stream of a copy is to be restored: the wanted records with everything from the checkpoint before them to
 * the one after them, so that they prove themselves. Always holds: records that the database has removed are taken only
 * when the chain leads from them, without a gap, to the hash that it has kept of the last one.
 */

import { hash } from 'node:crypto'
import { parseRecord } from '../event/record.ts'
import type { RemovedRange } from '../postgres/restore.ts'
import type { Link } from '../verify/link.ts'

/** All that is given must hold. Times are when it was sealed, RFC 3339, `since` inclusive, `until` exclusive. */
export interface WantedRecords {
  readonly stream?: string | undefined
  readonly from?: number | undefined
  readonly to?: number | undefined
  readonly since?: string | undefined
  readonly until?: string | undefined
}

/** Records `from` to `to` of a stream; `refused`: why none of them. */
export interface RestorePlan {
  readonly stream: string
  readonly from: number
  readonly to: number
  /** Of the leaf hashes in each block, by its number. */
  readonly digests: ReadonlyMap<number, string>
  readonly refused?: string
}

const blockRecords = 1_000

export function blockOf(sequence: number): number {
  return Math.floor(sequence / blockRecords)
}

export function isWanted(wanted: WantedRecords, { stream, sequence, recorded }: Link, bytes: Buffer): boolean {
  if (wanted.stream !== undefined && wanted.stream !== stream) return false
  if (sequence < (wanted.from ?? 1) || sequence > (wanted.to ?? Number.POSITIVE_INFINITY)) return false
  if (wanted.since === undefined && wanted.until === undefined) return true
  const at = recorded ?? parseRecord(bytes)?.recorded ?? ''
  return at >= (wanted.since ?? '') && (wanted.until === undefined || at < wanted.until)
}

export class StreamSurvey {
  readonly #stream: string
  readonly #removed: readonly RemovedRange[]
  readonly #digests = new Map<number, string>()
  #leaves = ''
  #last: Link | undefined
  /** Where records began to follow one another, and the last checkpoint since. */
  #runFrom = 0
  #checkpoint: number | undefined
  #from: number | undefined
  #lastWanted = 0
  /** The checkpoint that covers all that is wanted. */
  #to: number | undefined
  /** The first break behind what is wanted. */
  #break: { readonly at: number; readonly reason: string } | undefined
  readonly #proven = new Set<number>()

  constructor(stream: string, removed: readonly RemovedRange[]) {
    this.#stream = stream
    this.#removed = removed
  }

  /** The records in their order. */
  add(link: Link, isWanted: boolean): void {
    this.#follow(link)
    if (isWanted) {
      this.#from ??= this.#checkpoint ?? this.#runFrom
      this.#lastWanted = link.sequence
      this.#to = undefined
    }
    if (link.control?.type === 'checkpoint') {
      this.#checkpoint = link.sequence
      if (this.#from !== undefined && sizeOf(link) >= this.#lastWanted) this.#to ??= link.sequence
    }
    const ended = this.#removed.find(({ to }) => to === link.sequence)
    if (ended?.hash === link.leaf) this.#proven.add(link.sequence)
    else if (ended !== undefined)
      this.#breakAt(link.sequence, `record ${link.sequence} is not the one that was removed`)
  }

  /** `undefined` when nothing is wanted. */
  plan(): RestorePlan | undefined {
    if (this.#from === undefined || this.#last === undefined) return undefined
    this.#closeBlock()
    const [from, to] = [this.#from, this.#to ?? this.#last.sequence]
    const refused = this.#findReason(from, to)
    return { stream: this.#stream, from, to, digests: this.#digests, ...(refused !== undefined && { refused }) }
  }

  #findReason(from: number, to: number): string | undefined {
    const touched = this.#removed.filter((range) => range.from <= to && range.to >= from)
    const needed = Math.max(to, ...touched.map((range) => range.to))
    if (this.#break !== undefined && this.#break.at <= needed) return this.#break.reason
    const open = touched.find((range) => !this.#proven.has(range.to))
    if (open === undefined) return undefined
    return `the copy ends before record ${open.to}: nothing shows that its records are those that were removed`
  }

  #follow(link: Link): void {
    const last = this.#last
    const follows = last !== undefined && link.sequence === last.sequence + 1
    if (last !== undefined && !follows) {
      const reason =
        link.sequence > last.sequence ? 'is missing in the copy' : 'comes again: the copy has another order'
      this.#breakAt(link.sequence, `record ${last.sequence + 1} ${reason}`)
    } else if (last !== undefined && link.prev !== last.leaf)
      this.#breakAt(link.sequence, `record ${link.sequence} of the copy does not follow the one before it`)
    if (!follows) [this.#runFrom, this.#checkpoint] = [link.sequence, undefined]
    if (last !== undefined && blockOf(last.sequence) !== blockOf(link.sequence)) this.#closeBlock()
    this.#leaves += link.leaf
    this.#last = link
  }

  /** Before anything is wanted it does not matter. */
  #breakAt(at: number, reason: string): void {
    if (this.#from !== undefined) this.#break ??= { at, reason }
  }

  #closeBlock(): void {
    if (this.#last !== undefined) this.#digests.set(blockOf(this.#last.sequence), hash('sha256', this.#leaves))
    this.#leaves = ''
  }
}

function sizeOf({ control }: Link): number {
  const { note } = (control?.details ?? {}) as { note?: unknown }
  return typeof note === 'string' ? Number(note.split('\n')[1]) : 0
}
