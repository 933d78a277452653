/**
 * A witness (c2sp.org/tlog-witness): cosigns a checkpoint only when it continues the one that it cosigned last of that
 * log. Always holds: of one origin it never cosigns two trees of which neither is the beginning of the other, nor a
 * smaller tree after a larger one. It sees roots and sizes, never records.
 *
 *   old 7                                  what the client believes was cosigned last; 0: nothing
 *   XcnaeacGWamtVZy3Ad7Zoqud…              consistency proof from there, one hash a line
 *                                          an empty line, then the checkpoint, a signed note
 */

import { type Checkpoint, openSignedCheckpoint } from '../chain/checkpoint.ts'
import { cosign } from '../chain/cosignature.ts'
import { checkConsistency } from '../chain/merkle.ts'
import { decodeBase64, type Signer, type Verifier } from '../chain/note.ts'
import type { WitnessStore } from './store.ts'

/** An answer over HTTP. */
export interface WitnessAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422
  /** With 200 the cosignature's line; with 409 the size cosigned last, where that is what was wrong; else the reason. */
  readonly body: string
  readonly type: 'text/plain' | 'text/x.tlog.size'
}

export interface WitnessParts {
  readonly signer: Signer
  /** The keys of the logs that it witnesses. */
  readonly logs: readonly Verifier[]
  readonly store: WitnessStore
  /** Seconds since the epoch. */
  readonly now: () => number
}

/** Most hashes of a proof: one a level of a tree of 2^53 leaves and one more; the protocol allows 63. */
const proofHashesMax = 63

/** Answers `add-checkpoint`. Synchronous on purpose: between the look and the keeping nobody else comes in. */
export function addCheckpoint(request: string, { signer, logs, store, now }: WitnessParts): WitnessAnswer {
  const asked = parseRequest(request)
  if (typeof asked === 'string') return answer(400, asked)
  const { oldSize, proof, note } = asked
  const origin = note.slice(0, note.indexOf('\n'))
  const keys = logs.filter(({ name }) => origin.startsWith(`${name}/`) && !origin.slice(name.length + 1).includes('/'))
  if (keys.length === 0) return answer(404, `the log ${origin} is not witnessed here`)
  const checkpoint = openSignedCheckpoint(note, origin, keys)
  if ('problem' in checkpoint) return answer(403, checkpoint.reason)
  if (oldSize > checkpoint.size) return answer(400, 'the old size is beyond the size of the checkpoint')
  const latest = store.latest(origin)
  if (oldSize !== (latest?.size ?? 0)) return { status: 409, body: `${latest?.size ?? 0}\n`, type: 'text/x.tlog.size' }
  const refusal = latest === undefined ? refuseFirst(proof) : refuseStep(latest, checkpoint, proof)
  if (refusal !== undefined) return refusal
  store.keep(checkpoint) // before anybody sees the cosignature
  const text = note.slice(0, note.lastIndexOf('\n\n') + 1)
  return { status: 200, body: cosign(text, now(), signer), type: 'text/plain' }
}

function refuseFirst(proof: readonly Uint8Array[]): WitnessAnswer | undefined {
  return proof.length === 0 ? undefined : answer(400, 'from size 0 there is nothing to prove')
}

function refuseStep(latest: Checkpoint, next: Checkpoint, proof: readonly Uint8Array[]): WitnessAnswer | undefined {
  const isSame = Buffer.compare(latest.root, next.root) === 0
  if (latest.size === next.size && !isSame) return answer(409, 'another root was cosigned for this size')
  if (latest.size === 0) return refuseFirst(proof)
  const claim = { size1: latest.size, size2: next.size, root1: latest.root, root2: next.root, proof }
  return checkConsistency(claim) ? undefined : answer(422, 'the proof does not lead from what was cosigned last')
}

function parseRequest(
  request: string,
): { readonly oldSize: number; readonly proof: readonly Uint8Array[]; readonly note: string } | string {
  const end = request.indexOf('\n\n')
  const [first = '', ...lines] = request.slice(0, Math.max(0, end)).split('\n')
  const [, digits] = /^old (0|[1-9]\d*)$/.exec(first) ?? []
  const oldSize = Number(digits)
  if (digits === undefined || !Number.isSafeInteger(oldSize)) return 'the first line is not "old" and a size'
  if (lines.length > proofHashesMax) return `the proof has more than ${proofHashesMax} hashes`
  const proof = lines.map(decodeBase64)
  if (!proof.every((hash) => hash?.length === 32)) return 'a line of the proof is not 32 bytes in base64'
  return { oldSize, proof: proof.filter((hash) => hash !== undefined), note: request.slice(end + 2) }
}

function answer(status: WitnessAnswer['status'], reason: string): WitnessAnswer {
  return { status, body: `${reason}\n`, type: 'text/plain' }
}
