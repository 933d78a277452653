/**
 * The proof of one record: a `.tlog-proof` (c2sp.org/tlog-proof) with the checkpoint that covers it. Pure, and it never
 * throws for what it is given.
 *
 *   c2sp.org/tlog-proof@v1
 *   index 24                          the record of sequence 25
 *   tGWqH3…=                          the audit path, lowest hash first; then an empty line and the signed checkpoint
 */

import { openSignedCheckpoint, type SignedCheckpoint } from '../chain/checkpoint.ts'
import { hashBytes, leafHash } from '../chain/hash.ts'
import { checkInclusion } from '../chain/merkle.ts'
import { decodeBase64, type Verifier } from '../chain/note.ts'
import { parseRecord } from '../event/record.ts'

export interface InclusionProof {
  /** Of the leaf: one less than the record's sequence. */
  readonly index: number
  readonly hashes: readonly Uint8Array[]
  /** The signed note, verbatim. */
  readonly checkpoint: string
}

/** Why a text is no proof, or proves nothing of a record. */
export interface ProofRefusal {
  readonly problem: ProofProblem
  readonly reason: string
}

export type ProofProblem =
  | 'malformed'
  | 'bad_signature'
  | 'unknown_key'
  | 'wrong_origin'
  | 'other_record'
  | 'not_included'

/** A record that stands where it says, in a tree that a known key signed. */
export interface ProvenRecord {
  readonly problem?: undefined
  readonly stream: string
  readonly sequence: number
  /** Leaf hash of the record. */
  readonly leaf: string
  readonly checkpoint: SignedCheckpoint
}

/** A record by its number, in the only stream of the copy unless one is named; or by its id. */
export interface WantedRecord {
  readonly stream?: string | undefined
  readonly sequence?: number | undefined
  readonly id?: string | undefined
}

export interface CreatedProof {
  readonly problem?: undefined
  /** The `.tlog-proof`. */
  readonly proof: string
  /** The record, as it was sealed. */
  readonly record: Buffer
  readonly stream: string
  readonly sequence: number
  readonly deployment: string
  /** Size of the tree that the checkpoint covers. */
  readonly size: number
}

/** Why there is no proof. `damaged`: the copy contradicts its checkpoint, which `verify` describes. */
export interface ProveRefusal {
  readonly problem: 'not_found' | 'ambiguous' | 'uncovered' | 'incomplete' | 'damaged'
  readonly reason: string
}

const header = 'c2sp.org/tlog-proof@v1'
/** A tree of 2^53 leaves has paths of 53 hashes. */
const hashesMax = 53

export function formatProof({ index, hashes, checkpoint }: InclusionProof): string {
  const lines = [header, `index ${index}`, ...hashes.map((hash) => Buffer.from(hash).toString('base64'))]
  return `${lines.join('\n')}\n\n${checkpoint}`
}

/** Inverse of `formatProof`; an `extra` line is read over. For anything else, why it is not a proof. */
export function parseProof(text: string): InclusionProof | ProofRefusal {
  const end = text.indexOf('\n\n')
  if (end < 0) return malformed('a proof ends with an empty line and a checkpoint')
  const [first, ...rest] = text.slice(0, end).split('\n', hashesMax + 4)
  if (first !== header) return malformed(`a proof begins with the line ${header}`)
  const lines = rest[0]?.startsWith('extra ') ? rest.slice(1) : rest
  if (lines !== rest && decodeBase64(rest[0]?.slice(6) ?? '') === undefined) return malformed('its extra is no base64')
  const digits = /^index (0|[1-9]\d{0,15})$/.exec(lines[0] ?? '')?.[1]
  const index = Number(digits)
  if (digits === undefined || !Number.isSafeInteger(index)) return malformed('a proof names the index of its leaf')
  const hashes = lines.slice(1).map(decodeBase64)
  if (hashes.length > hashesMax) return malformed(`a proof with more than ${hashesMax} hashes`)
  if (!hashes.every((hash) => hash?.length === hashBytes)) return malformed('a hash of a proof has 32 bytes in base64')
  return { index, hashes: hashes.filter((hash) => hash !== undefined), checkpoint: text.slice(end + 2) }
}

/** Checks a proof of the record in `record`, its bytes as they were sealed. Only these keys are believed. */
export function checkProof(
  text: string,
  record: Uint8Array,
  verifiers: readonly Verifier[],
): ProvenRecord | ProofRefusal {
  const proof = parseProof(text)
  if ('problem' in proof) return proof
  const { stream, seq } = parseRecord(record) ?? {}
  if (stream === undefined || seq === undefined) return refuse('other_record', 'the record names no stream and number')
  if (seq !== proof.index + 1)
    return refuse('other_record', `the record is number ${seq}, the proof is of number ${proof.index + 1}`)
  const checkpoint = openSignedCheckpoint(proof.checkpoint, undefined, verifiers)
  if ('problem' in checkpoint) return refuse(proofProblem(checkpoint.problem), checkpoint.reason)
  const { origin, size, root } = checkpoint
  if (!origin.endsWith(`/${stream}`))
    return refuse('wrong_origin', `the record is of stream ${stream}, the checkpoint of ${origin}`)
  const leaf = leafHash(record)
  const { index, hashes } = proof
  const isIncluded = checkInclusion({ index, size, leaf: Buffer.from(leaf, 'hex'), root, proof: hashes })
  if (!isIncluded) return refuse('not_included', 'these bytes and this path do not lead to the signed root')
  return { stream, sequence: seq, leaf, checkpoint }
}

function proofProblem(problem: string): ProofProblem {
  return problem === 'bad_signature' || problem === 'unknown_key' || problem === 'wrong_origin' ? problem : 'malformed'
}

function malformed(reason: string): ProofRefusal {
  return refuse('malformed', reason)
}

function refuse(problem: ProofProblem, reason: string): ProofRefusal {
  return { problem, reason }
}
