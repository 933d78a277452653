/** How many distinct records of a stream were found, and which are the first and the last two of them. */

import type { Link } from './link.ts'
import type { Run } from './run.ts'

export class Extent {
  records = 0
  first = Number.POSITIVE_INFINITY
  last: Link | undefined
  #belowLast: Link | undefined

  /** Counts records of which none was counted before. */
  add(run: Run): void {
    this.records += run.count
    this.first = Math.min(this.first, run.first)
    if (run.count > 1) this.#take(run.link(run.last - 1))
    this.#take(run.link(run.last))
  }

  /** The last record belongs elsewhere. */
  removeLast(): void {
    this.records -= 1
    this.last = this.#belowLast
  }

  #take(link: Link): void {
    if (this.last !== undefined && link.sequence < this.last.sequence) {
      if (link.sequence > (this.#belowLast?.sequence ?? 0)) this.#belowLast = link
      return
    }
    this.#belowLast = this.last
    this.last = link
  }
}
