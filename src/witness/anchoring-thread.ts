/** One round of anchoring: puts a checkpoint into each of its places. A place that fails keeps no other from being tried. */

import { basename } from 'node:path'
import { anchorFiles, askAuthority, commitAnchors, placedNote, publishNote, writeAnchor } from './anchor-places.ts'
import { reasonOf } from './ask.ts'

/** Where checkpoints go. */
export interface AnchorPlaces {
  readonly directory?: string | undefined
  /** The folder lies in a Git repository, to which they are committed. */
  readonly git: boolean
  /** The address of an authority for timestamps (RFC 3161). */
  readonly tsa?: string | undefined
  /** Where files are put by HTTP. */
  readonly url?: string | undefined
}

export type AnchorKind = 'timestamp' | 'file' | 'git' | 'http'

/** The details of `audit.anchored`. */
export interface Anchored {
  readonly kind: AnchorKind
  /** The folder, or the address. */
  readonly name: string
  readonly stream: string
  readonly size: number
  readonly root: string
  /** The response of the authority in base64, or the hash of the commit. */
  readonly token?: string
}

/** What became of a place. */
export type AnchorOutcome =
  | { readonly kind: AnchorKind; readonly anchored: Anchored }
  | { readonly kind: AnchorKind; readonly reason: string }

/** What the thread is started with. */
export interface AnchoringStart {
  readonly note: string
  readonly places: AnchorPlaces
  /** Those of the places that are asked. */
  readonly kinds: readonly AnchorKind[]
}

/** The places that are named, in the order in which they are asked: a timestamp is committed with its checkpoint. */
export function kindsOf({ directory, git, tsa, url }: AnchorPlaces): AnchorKind[] {
  return [
    ...(tsa === undefined ? [] : (['timestamp'] as const)),
    ...(directory === undefined ? [] : ([git ? 'git' : 'file'] as const)),
    ...(url === undefined ? [] : (['http'] as const)),
  ]
}

/** Asks each place, and posts what became of it. Never rejects. */
export async function runAnchoring(
  { note, places, kinds }: AnchoringStart,
  port: { postMessage(outcomes: readonly AnchorOutcome[]): void },
): Promise<void> {
  const outcomes: AnchorOutcome[] = []
  // One after the other: what is committed must be there.
  for (const kind of kinds) outcomes.push(await anchorAt(kind, note, places))
  port.postMessage(outcomes)
}

async function anchorAt(kind: AnchorKind, note: string, places: AnchorPlaces): Promise<AnchorOutcome> {
  const placed = placedNote(note)
  const { stream, size, root } = placed
  try {
    return { kind, anchored: { kind, stream, size, root, ...(await anchor[kind](placed, places)) } }
  } catch (thrown) {
    return { kind, reason: reasonOf(thrown) }
  }
}

type Placing = (
  placed: ReturnType<typeof placedNote>,
  places: AnchorPlaces,
) => Promise<Pick<Anchored, 'name' | 'token'>>

const anchor: Readonly<Record<AnchorKind, Placing>> = {
  async timestamp(placed, { tsa = '', directory }) {
    const answer = await askAuthority(tsa, placed)
    if (directory !== undefined) writeAnchor(directory, placed, answer)
    return { name: tsa, token: answer.toString('base64') }
  },
  async file(placed, { directory = '' }) {
    writeAnchor(directory, placed)
    return { name: basename(directory) }
  },
  async git(placed, { directory = '' }) {
    writeAnchor(directory, placed)
    const commit = commitAnchors(directory, anchorFiles(directory, placed), `${placed.stream} ${placed.size}`)
    return { name: basename(directory), ...(commit !== undefined && { token: commit }) }
  },
  async http(placed, { url = '' }) {
    return { name: await publishNote(url, placed) }
  },
}
