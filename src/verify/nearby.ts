/**
 * The records of a source around one of them: as many more on either side as are asked for, each read once. For proofs: what
 * is overlooked here is found in the whole copy.
 */

import { checkpointLagMax } from '../limits.ts'
import type { FoundRecord, Source } from './source.ts'

/** Further from a record no checkpoint needs to be looked for: none reaches back so far. */
export const windowRecords = 2 * checkpointLagMax

/** Checkpoints are mostly 256 records apart; how far behind they come is seen while reading. */
const firstRecords = { below: 300, above: 512 }
const growth = 2

/** How a checkpoint record begins; one that does not is found in the whole copy. */
const checkpointStart = Buffer.from('{"action":"audit.checkpoint"')

export interface NumberRange {
  readonly from: number
  readonly to: number
}

/** A copy that may leave out what it can tell is outside of a range, or is no checkpoint, when that is asked for. */
export interface Copy extends Source {
  read(asked?: NumberRange | 'checkpoints'): ReturnType<Source['read']>
}

export class Nearby {
  readonly #source: Source
  readonly #stream: string | undefined
  readonly #sequence: number
  readonly #reach = { ...firstRecords }
  #records: readonly FoundRecord[] = []
  #checkpoints: readonly FoundRecord[] = []

  private constructor(source: Source, { stream, sequence }: { stream?: string | undefined; sequence: number }) {
    this.#source = source
    this.#stream = stream
    this.#sequence = sequence
  }

  /** Undefined where the source cannot read around a number, or cannot tell which stream is meant. */
  static async of(
    source: Source,
    place: { readonly stream?: string | undefined; readonly sequence: number },
  ): Promise<Nearby | undefined> {
    const nearby = new Nearby(source, place)
    const { below, above } = nearby.#reach
    const records = await nearby.#read({ from: place.sequence - below, to: place.sequence + above })
    if (records === undefined) return undefined
    nearby.#records = records
    nearby.#checkpoints = records.filter(isCheckpoint)
    return nearby
  }

  /** Reads on, on one side; false where that is far enough. */
  async widen(side: 'below' | 'above'): Promise<boolean> {
    const reached = this.#reach[side]
    if (reached >= windowRecords) return false
    const reach = Math.min(reached * growth, windowRecords)
    this.#reach[side] = reach
    const [from, to] = side === 'below' ? [-reach, -reached - 1] : [reached + 1, reach]
    const more = (await this.#read({ from: this.#sequence + from, to: this.#sequence + to })) ?? []
    this.#records = side === 'below' ? [...more, ...this.#records] : [...this.#records, ...more]
    this.#checkpoints = [...this.#checkpoints, ...more.filter(isCheckpoint)]
    return true
  }

  /** The source, as far as it has been read. */
  get copy(): Copy {
    const [records, checkpoints] = [this.#records, this.#checkpoints]
    return {
      ...this.#source,
      async *read(asked) {
        if (asked === undefined) yield records
        else yield asked === 'checkpoints' ? checkpoints : records.filter((one) => isWithin(asked, one))
      },
    }
  }

  async #read({ from, to }: NumberRange): Promise<readonly FoundRecord[] | undefined> {
    if (to < 1) return []
    const first = Math.max(1, from)
    const records = Math.ceil((to - first) / 2)
    const sequence = to - records
    const near = await this.#source.readNear?.({ stream: this.#stream, sequence, records })
    return near?.filter(({ place }) => place === undefined || place.sequence >= first)
  }
}

/** Whose place the carrier says lies elsewhere is not looked at. */
function isWithin({ from, to }: NumberRange, { place }: FoundRecord): boolean {
  return place === undefined || (place.sequence >= from && place.sequence <= to)
}

function isCheckpoint({ bytes }: FoundRecord): boolean {
  return bytes.length > checkpointStart.length && checkpointStart.equals(bytes.subarray(0, checkpointStart.length))
}
