/** The records of a stream that wait to be settled, by their sequence. Pure. */

import type { Link } from './link.ts'

/** The records above `settledTo` and up to `limit`, in order of sequence. */
export function linksUpTo(window: ReadonlyMap<number, Link>, settledTo: number, limit: number): Link[] {
  if (limit - settledTo <= window.size) {
    const links: Link[] = []
    for (let sequence = settledTo + 1; sequence <= limit; sequence += 1) {
      const link = window.get(sequence)
      if (link !== undefined) links.push(link)
    }
    return links
  }
  // Numbers far apart: never count through them.
  const links = [...window.values()].filter(({ sequence }) => sequence <= limit)
  return links.sort((one, other) => one.sequence - other.sequence)
}
