/**
 * Anchors: what signed checkpoints say about a stream's tree, wherever in the copy they stand. A note is believed
 * for its signature alone, so that an edit elsewhere in its record takes nothing from it. Without any key the same
 * claims are read unsigned: they find damage, but prove nothing.
 */

import { type CheckpointRefusal, openCheckpoint, originOf, parseCheckpoint } from '../chain/checkpoint.ts'
import { Frontier } from '../chain/merkle.ts'
import { decodeBase64, type Verifier } from '../chain/note.ts'
import type { Link } from './link.ts'

export interface Anchor {
  /** The checkpoint record. */
  readonly link: Link
  readonly deployment: string
  readonly size: number
  readonly root: Uint8Array
  /** The tree of `size` records. */
  readonly frontier: Frontier
  /** The believed keys that signed it; none where nothing was asked of signatures. */
  readonly signers: readonly Verifier[]
}

export interface AnchorRefusal {
  readonly link: Link
  readonly verdict: 'BAD_SIGNATURE' | 'WRONG_ORIGIN'
  readonly detail: string
}

/** Whom to believe: the verifier keys, and the deployment of the stream once one is known. */
export interface Trust {
  readonly verifiers: readonly Verifier[]
  /** Whether anything is asked of signatures; unless given, when there is a key. */
  readonly isAsked?: boolean
  readonly deployment: string | undefined
}

/** Opens the checkpoint in `link`; undefined for what proves nothing either way (an unsigned claim that is malformed). */
export function openAnchor(
  link: Link,
  { verifiers, isAsked = verifiers.length > 0, deployment }: Trust,
): Anchor | AnchorRefusal | undefined {
  if (!isAsked) return readUnsigned(link)
  const expected = deploymentFor(link, { verifiers, deployment })
  const opened = openCheckpoint(link.control?.details, originOf(expected, link.stream), verifiers)
  if (opened.problem !== undefined) return refuse(link, opened)
  const { size, root, frontier, signers } = opened
  return { link, deployment: expected, size, root, frontier, signers }
}

/** The stream's own deployment; before one is known, the one the note names if a key is trusted for it. */
function deploymentFor(link: Link, { verifiers, deployment }: Trust): string {
  const { note } = (link.control?.details ?? {}) as { note?: unknown }
  const named = typeof note === 'string' ? deploymentIn(note.slice(0, note.indexOf('\n'))) : ''
  if (deployment !== undefined) return deployment
  return verifiers.find(({ name }) => name === named)?.name ?? verifiers[0]?.name ?? ''
}

function deploymentIn(origin: string): string {
  return origin.slice(0, Math.max(0, origin.lastIndexOf('/')))
}

function refuse(link: Link, { problem, reason }: CheckpointRefusal): AnchorRefusal {
  const verdict = problem === 'wrong_origin' ? 'WRONG_ORIGIN' : 'BAD_SIGNATURE'
  return { link, verdict, detail: `the checkpoint proves nothing: ${reason}` }
}

function readUnsigned(link: Link): Anchor | undefined {
  const { note, frontier: hashes } = (link.control?.details ?? {}) as { note?: unknown; frontier?: unknown }
  if (typeof note !== 'string' || !Array.isArray(hashes)) return undefined
  const checkpoint = parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))
  if ('problem' in checkpoint) return undefined
  const { origin, size, root } = checkpoint
  const decoded = hashes.map((hash) => (typeof hash === 'string' ? decodeBase64(hash) : undefined))
  const frontier = decoded.every((hash) => hash !== undefined) ? Frontier.from(size, decoded) : undefined
  if (frontier === undefined || !frontier.root().equals(root)) return undefined
  return { link, deployment: deploymentIn(origin), size, root, frontier, signers: [] }
}
