/**
 * The records of a stream that wait to be settled. As long as each names the one before it they are a row of runs; what
 * does not fit makes links of them all, by sequence, until it is settled. Always holds: a row begins right above what is
 * settled, has no hole and no record twice, and within it every `prev` is the leaf hash below.
 */

import type { Link } from './link.ts'
import { Run } from './run.ts'

export class Window {
  #row: Run[] = []
  /** Every waiting record by its sequence, where they are no row. */
  #links: Map<number, Link> | undefined
  #size = 0
  #settledTo = 0
  #contiguousTo = 0

  /** How many records wait. */
  get size(): number {
    return this.#size
  }

  /** Up to here nothing is missing. */
  get contiguousTo(): number {
    return this.#contiguousTo
  }

  /** The sequence that lies in the middle of what waits. */
  get middle(): number {
    if (this.#links === undefined) return this.#settledTo + 1 + (this.#size >> 1)
    const sequences = [...this.#links.keys()].sort((a, b) => a - b)
    return sequences[sequences.length >> 1] ?? 0
  }

  /** The record that waits with this sequence; to be changed in place by whoever asked. */
  find(sequence: number): Link | undefined {
    if (this.#links === undefined && sequence <= this.#contiguousTo) this.#loosen()
    return this.#links?.get(sequence)
  }

  /** Takes in records above what is settled, of which none waits yet. */
  put(run: Run): void {
    this.#size += run.count
    if (this.#links === undefined && this.#continues(run)) {
      this.#row.push(run)
      this.#contiguousTo = run.last
      return
    }
    const links = this.#loosen()
    for (const link of run.links()) links.set(link.sequence, link)
    this.#findContiguous(links)
  }

  /** The runs that hold every record up to `limit`, and perhaps some above; undefined where there is no such row. */
  row(limit: number): readonly Run[] | undefined {
    return this.#links === undefined && limit <= this.#contiguousTo ? this.#row : undefined
  }

  /** The records up to `limit`, in order of sequence. */
  links(limit: number): Link[] {
    if (this.#links === undefined) return this.#row.flatMap((run) => run.links(limit))
    return linksUpTo(this.#links, this.#settledTo, limit)
  }

  /** Everything up to `size` is settled. */
  leave(size: number): void {
    if (this.#links === undefined) this.#leaveRow(size)
    else this.#leaveLinks(this.#links, size)
    this.#settledTo = size
    this.#contiguousTo = Math.max(this.#contiguousTo, size)
    if (this.#links !== undefined) {
      this.#findContiguous(this.#links)
      this.#tidy(this.#links)
    }
  }

  #continues(run: Run): boolean {
    const last = this.#row.at(-1)
    return run.first === this.#contiguousTo + 1 && (last === undefined || run.prev === last.leafOf(last.last))
  }

  #loosen(): Map<number, Link> {
    this.#links ??= new Map(this.#row.flatMap((run) => run.links()).map((link) => [link.sequence, link]))
    this.#row = []
    return this.#links
  }

  #findContiguous(links: ReadonlyMap<number, Link>): void {
    while (links.has(this.#contiguousTo + 1)) this.#contiguousTo += 1
  }

  #leaveRow(size: number): void {
    while (this.#row[0] !== undefined && this.#row[0].first <= size) {
      const [run] = this.#row.splice(0, 1)
      if (run === undefined) return
      this.#size -= Math.min(run.last, size) - run.first + 1
      if (run.last > size) this.#row.unshift(run.above(size))
    }
  }

  #leaveLinks(links: Map<number, Link>, size: number): void {
    for (const { sequence } of linksUpTo(links, this.#settledTo, size)) links.delete(sequence)
    this.#size = links.size
  }

  /** Makes a row of the links again, if they are one: the damage was settled. */
  #tidy(links: Map<number, Link>): void {
    if (this.#settledTo + links.size !== this.#contiguousTo) return
    const ordered = linksUpTo(links, this.#settledTo, this.#contiguousTo)
    const fits = ({ rivals, prev }: Link, index: number) =>
      rivals === undefined && (index === 0 || prev === ordered[index - 1]?.leaf)
    if (!ordered.every(fits)) return
    this.#row = ordered.map(Run.of)
    this.#links = undefined
  }
}

function linksUpTo(links: ReadonlyMap<number, Link>, settledTo: number, limit: number): Link[] {
  if (limit - settledTo <= links.size) {
    const found: Link[] = []
    for (let sequence = settledTo + 1; sequence <= limit; sequence += 1) {
      const link = links.get(sequence)
      if (link !== undefined) found.push(link)
    }
    return found
  }
  // Numbers far apart: never count through them.
  return [...links.values()]
    .filter(({ sequence }) => sequence <= limit)
    .sort((one, other) => one.sequence - other.sequence)
}
