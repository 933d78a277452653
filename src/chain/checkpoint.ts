/**
 * Checkpoints: what a stream's writer signs (c2sp.org/tlog-checkpoint without extension lines), and the details
 * of an `audit.checkpoint` record: that note and the frontier of its size, which folds to the signed root. Pure.
 *
 *   prod/0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8071      origin: <deployment>/<stream>
 *   7                                              size: records covered, from sequence 1
 *   XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=   root of the tree of that size
 */

import { hashBytes } from './hash.ts'
import { Frontier } from './merkle.ts'
import { decodeBase64, type NoteRefusal, openNote, type Signer, signNote, type Verifier } from './note.ts'

/** The head of a tree: what a checkpoint's text says. */
export interface Checkpoint {
  readonly origin: string
  /** Number of records covered; at most 2^53 − 1. */
  readonly size: number
  readonly root: Uint8Array
}

/** The `details` of an `audit.checkpoint` record. */
export interface CheckpointDetails {
  readonly note: string
  /** The subtree roots of the tree of the note's size, base64, largest first. */
  readonly frontier: readonly string[]
}

/** A checkpoint that a known key signed, whose frontier folds to its root. */
export interface OpenedCheckpoint extends SignedCheckpoint {
  readonly problem?: undefined
  /** The tree of `size` records, ready to take the next leaf. */
  readonly frontier: Frontier
}

/** Why a checkpoint says nothing: as for notes, or it speaks of another stream, or its frontier is not its root's. */
export interface CheckpointRefusal {
  readonly problem: NoteRefusal['problem'] | 'wrong_origin' | 'frontier_mismatch'
  readonly reason: string
}

export type CheckpointOpening = OpenedCheckpoint | CheckpointRefusal

/** Origin of a stream's checkpoints. A stream's deployment never changes, so neither does its origin. */
export function originOf(deployment: string, stream: string): string {
  return `${deployment}/${stream}`
}

/** The text that is signed. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`
}

/** Inverse of `formatCheckpoint`; for any other text, why it is not a checkpoint. */
export function parseCheckpoint(text: string): Checkpoint | CheckpointRefusal {
  const [, origin, digits, base64] = /^([^\n]+)\n(0|[1-9]\d*)\n([^\n]+)\n$/.exec(text) ?? []
  if (origin === undefined || digits === undefined || base64 === undefined)
    return refuse('malformed', 'a checkpoint has three lines: origin, size and root')
  const size = Number(digits)
  if (!Number.isSafeInteger(size)) return refuse('malformed', 'the size of a checkpoint is beyond 2^53')
  const root = decodeBase64(base64)
  if (root?.length !== hashBytes) return refuse('malformed', 'the root of a checkpoint is not 32 bytes in base64')
  return { origin, size, root }
}

/** The details of the `audit.checkpoint` record that covers the tree of `frontier`. */
export function checkpointDetails(frontier: Frontier, origin: string, signer: Signer): CheckpointDetails {
  const text = formatCheckpoint({ origin, size: frontier.size, root: frontier.root() })
  return { note: signNote(text, signer), frontier: frontier.hashes().map((hash) => hash.toString('base64')) }
}

/**
 * Opens the details of an `audit.checkpoint` record. `origin` is that of the stream the record stands in;
 * undefined only where that is not known. The key must be one of the origin's deployment: a key that is trusted
 * for one deployment cannot speak for another. Never throws, whatever `details` is.
 */
export function openCheckpoint(
  details: unknown,
  origin: string | undefined,
  verifiers: readonly Verifier[],
): CheckpointOpening {
  const { note, frontier: hashes } = (details ?? {}) as { note?: unknown; frontier?: unknown }
  if (typeof note !== 'string' || !Array.isArray(hashes))
    return refuse('malformed', 'the details of a checkpoint are its note and its frontier')
  const checkpoint = openSignedCheckpoint(note, origin, verifiers)
  if ('problem' in checkpoint) return checkpoint
  const frontier = openFrontier(checkpoint, hashes)
  return frontier === undefined
    ? refuse('frontier_mismatch', `the frontier does not fold to the signed root of size ${checkpoint.size}`)
    : { ...checkpoint, frontier }
}

/** A checkpoint that a known key of its deployment signed. */
export interface SignedCheckpoint extends Checkpoint {
  readonly signers: readonly Verifier[]
}

/** Opens a note that stands alone: of a proof, or kept by an auditor. As `openCheckpoint`, but there is no frontier. */
export function openSignedCheckpoint(
  note: string,
  origin: string | undefined,
  verifiers: readonly Verifier[],
): SignedCheckpoint | CheckpointRefusal {
  const opened = openNote(note, verifiers)
  if (opened.problem !== undefined) return opened
  const checkpoint = parseCheckpoint(opened.text)
  if ('problem' in checkpoint) return checkpoint
  if (origin !== undefined && checkpoint.origin !== origin)
    return refuse('wrong_origin', `a checkpoint of ${checkpoint.origin} in the stream ${origin}`)
  const signers = opened.signers.filter(({ name }) => name === deploymentOf(checkpoint.origin))
  if (signers.length === 0)
    return refuse('wrong_origin', `a checkpoint of ${checkpoint.origin} signed by ${opened.signers[0]?.name}`)
  return { ...checkpoint, signers }
}

/**
 * The tree that the details of an `audit.checkpoint` record of this origin state, ready to take the next leaf, when it
 * folds to the root in the note. No signature is looked at: for a writer that reads its own records, never to verify.
 */
export function openUnsigned(details: unknown, origin: string): Frontier | undefined {
  const { note, frontier } = (details ?? {}) as { note?: unknown; frontier?: unknown }
  if (typeof note !== 'string' || !Array.isArray(frontier)) return undefined
  const checkpoint = parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))
  return 'problem' in checkpoint || checkpoint.origin !== origin ? undefined : openFrontier(checkpoint, frontier)
}

/** The part of an origin that names the key; a deployment may hold slashes, a stream has none. */
function deploymentOf(origin: string): string {
  return origin.slice(0, Math.max(0, origin.lastIndexOf('/')))
}

function openFrontier({ size, root }: Checkpoint, hashes: readonly unknown[]): Frontier | undefined {
  const decoded = hashes.map((hash) => (typeof hash === 'string' ? decodeBase64(hash) : undefined))
  const frontier = decoded.every((hash) => hash !== undefined) ? Frontier.from(size, decoded) : undefined
  return frontier !== undefined && Buffer.compare(frontier.root(), root) === 0 ? frontier : undefined
}

function refuse(problem: CheckpointRefusal['problem'], reason: string): CheckpointRefusal {
  return { problem, reason }
}
