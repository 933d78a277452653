/**
 * Which leaf hash belongs to which sequence, when records and links contradict each other. Pure.
 * Read from the newest record down, because each record names the hash of the one below it:
 *
 *   n  fits what n + 1 names                                   n is sound
 *   n  does not, and n + 1 is itself named by n + 2            n was edited; its true leaf is prev(n + 1)
 *   n  does not, and nothing vouches for n + 1                 a doubt: n was edited, or the link of n + 1
 *
 * A doubt is decided by whoever asks (the signed root decides, where one covers it).
 */

import type { Frontier } from '../chain/merkle.ts'
import type { Link } from './link.ts'

export interface Resolved {
  /** The record taken for this sequence, where several claim it … */
  readonly link: Link
  /** … and those that were not. */
  readonly others: readonly Link[]
  /** The leaf hash that belongs here: the record's own, or what the record above names instead. */
  readonly leaf: string
  /** Whether the record above, itself standing, names a leaf hash. */
  readonly vouched: boolean
  readonly tampered: boolean
  /** The leaf hash that `link.prev` should name and does not. */
  brokenFrom?: string
}

/**
 * Decides a doubt. `link`: whether the record itself was edited, rather than the link of the one above.
 * `rivals`: whether the second of two records with this number, and without a successor, is the true one.
 */
export type Decide = (sequence: number, doubt: 'link' | 'rivals') => boolean

/** What is settled below the first record: its sequence and leaf hash. */
export interface Beneath {
  readonly sequence: number
  readonly leaf: string | undefined
}

/** Resolves records in ascending order of sequence, each with its rivals. */
export function resolveLinks(links: readonly Link[], beneath: Beneath, decide: Decide): Resolved[] {
  const resolved: Resolved[] = new Array(links.length)
  let above: Resolved | undefined
  for (let index = links.length - 1; index >= 0; index -= 1) {
    const link = links[index] as Link
    if (above?.link.sequence === link.sequence + 1) above = resolveBelow(link, above, decide)
    else above = resolveTop(link, links[index - 1] ?? beneath, decide)
    resolved[index] = above
  }
  return resolved
}

/** A record that no other names. Of several with its number, the one that continues the record below. */
function resolveTop(first: Link, below: Beneath, decide: Decide): Resolved {
  if (first.rivals === undefined)
    return { link: first, others: none, leaf: first.leaf, vouched: false, tampered: false }
  const claimants = [first, ...first.rivals]
  const fitting = claimants.filter(({ prev }) => below.sequence === first.sequence - 1 && prev === below.leaf)
  const [one = first, other] = fitting.length > 0 ? fitting : claimants
  const link = other !== undefined && decide(first.sequence, 'rivals') ? other : one
  return { link, others: claimants.filter((each) => each !== link), leaf: link.leaf, vouched: false, tampered: false }
}

function resolveBelow(first: Link, above: Resolved, decide: Decide): Resolved {
  const named = above.link.prev
  const claimants = first.rivals === undefined ? undefined : [first, ...first.rivals]
  const fitting = first.leaf === named ? first : claimants?.find(({ leaf }) => leaf === named)
  const link = fitting ?? first
  const others = claimants?.filter((each) => each !== link) ?? none
  if (fitting !== undefined) return { link, others, leaf: link.leaf, vouched: true, tampered: false }
  const isCertain = above.vouched && !above.tampered
  if (named !== undefined && (isCertain || decide(first.sequence, 'link')))
    return { link, others, leaf: named, vouched: true, tampered: true }
  above.brokenFrom = link.leaf
  return { link, others, leaf: link.leaf, vouched: false, tampered: false }
}

const none: readonly Link[] = []

/**
 * The tree of `base` with the leaves up to `size`, or undefined where a leaf is unknown: of a hole, only the last
 * leaf is named by anything.
 */
export function foldResolved(base: Frontier, resolved: readonly Resolved[], size: number): Frontier | undefined {
  const frontier = base.clone()
  for (const { link, leaf } of resolved) {
    if (frontier.size >= size) break
    if (link.sequence === frontier.size + 2 && link.prev !== undefined) frontier.append(link.prev)
    if (frontier.size >= size) break
    if (link.sequence !== frontier.size + 1) return undefined
    frontier.append(leaf)
  }
  return frontier.size === size ? frontier : undefined
}

/** Most doubts of one section that are tried both ways, and most leaves folded while trying. */
const doubtsMax = 6
const foldedLeavesMax = 2 ** 20

export interface RootClaim {
  /** The tree below the records, and its last leaf. */
  readonly base: Frontier
  readonly beneath: Beneath
  readonly size: number
  readonly root: Uint8Array
}

export interface RootResolution {
  readonly resolved: readonly Resolved[]
  /** The tree of the size, where every leaf is known. */
  readonly folded: Frontier | undefined
  readonly reachesRoot: boolean
}

/**
 * Resolves the doubts the one way in which the leaves fold to the signed root. Where no way does, the doubts are
 * left as records that stand.
 */
export function resolveToRoot(links: readonly Link[], { base, beneath, size, root }: RootClaim): RootResolution {
  let doubtsSeen = 0
  const resolveBy = (choices: number): RootResolution => {
    let doubts = 0
    const resolved = resolveLinks(links, beneath, (sequence, doubt) => {
      // A link above the size moves no leaf below it; of two rivals there, all links below follow.
      if ((doubt === 'link' && sequence > size) || doubts >= doubtsMax) return false
      doubts += 1
      return ((choices >> (doubts - 1)) & 1) === 1
    })
    doubtsSeen = Math.max(doubtsSeen, doubts)
    const folded = foldResolved(base, resolved, size)
    return { resolved, folded, reachesRoot: folded?.root().equals(root) ?? false }
  }
  const first = resolveBy(0)
  if (first.reachesRoot) return first
  const triesMax = Math.ceil(foldedLeavesMax / links.length)
  for (let choices = 1; choices < Math.min(2 ** doubtsSeen, triesMax); choices += 1) {
    const other = resolveBy(choices)
    if (other.reachesRoot) return other
  }
  return first
}
