/** The ends of streams as a source keeps them beside the records, against the records that are there. */

import { openSignedCheckpoint, originOf } from '../chain/checkpoint.ts'
import type { Reading } from './reading.ts'
import type { Head } from './source.ts'

/** The source's own note of where a stream ends, against the records. */
export function compareHead(head: Head, reading: Reading): void {
  compareEnd(head, reading)
  checkNote(head, reading)
}

/** A checkpoint beside the records proves nothing of them, but proofs are made from it: it must be signed like theirs. */
function checkNote({ stream, sequence, note }: Head, { streams, log, ring }: Reading): void {
  const deployment = streams.get(stream)?.deployment
  if (note === undefined || deployment === undefined || ring.verifiers.length === 0) return
  if (log.verdictsOf(stream).size > 0) return
  const opened = openSignedCheckpoint(note, originOf(deployment, stream), ring.verifiers)
  if (!('problem' in opened)) return
  const detail = `the checkpoint beside the records proves nothing: ${opened.reason}`
  const verdict = opened.problem === 'wrong_origin' ? 'WRONG_ORIGIN' : 'BAD_SIGNATURE'
  log.add({ verdict, stream, sequence, detail })
}

function compareEnd({ stream, sequence, hash }: Head, { streams, log, prunes }: Reading): void {
  const found = streams.get(stream)
  const last = found?.last?.sequence ?? 0
  const expected = typeof hash === 'string' ? { expected: hash } : {}
  if (last < sequence && prunes.explain({ stream, from: last + 1, to: sequence })) return
  if (found === undefined) {
    if (typeof hash === 'string')
      log.add({
        verdict: 'STREAM_MISSING',
        stream,
        ...expected,
        detail: `its head is at ${sequence}, but no record of it is here`,
      })
  } else if (last < sequence) {
    log.add({
      verdict: 'TRUNCATED',
      stream,
      from: last + 1,
      to: sequence,
      ...expected,
      detail: `its head is at ${sequence}`,
    })
  } else {
    const leaf = found.judge.leafOf(sequence)
    if (leaf === undefined || hash === undefined || leaf === hash) return
    const detail = 'the head that the source keeps is not this record'
    log.add({
      verdict: 'PROJECTION_MISMATCH',
      stream,
      sequence,
      expected: leaf,
      ...(typeof hash === 'string' && { found: hash }),
      detail,
    })
  }
}
