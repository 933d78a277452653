/**
 * One verification of a spool while it is written, in a thread of its own.
 * What a running spool may be without anything being wrong is no finding: a stream too young for a checkpoint, or one
 * whose beginning was delivered and given back.
 */

import { parseVerifierKey, type Verifier } from '../chain/note.ts'
import { AuditError } from '../errors.ts'
import type { SourceReport } from './report.ts'
import { createSpoolSource } from './sources/spool.ts'
import { verifySource } from './verify.ts'

/** What the thread is started with. */
export interface VerificationStart {
  readonly directory: string
  readonly verifierKeys: readonly string[]
}

/** A segment may be given back between the look at the directory and the reading of it. */
const triesMax = 3

/** Verifies and posts the report; never throws for what is wrong with the spool. */
export async function runVerification(
  { directory, verifierKeys }: VerificationStart,
  port: { postMessage(report: SourceReport): void },
): Promise<void> {
  const verifiers = verifierKeys.map(parseVerifierKey).filter((key): key is Verifier => !('problem' in key))
  let report = await verifyOnce(directory, verifiers)
  for (let tries = 1; tries < triesMax && report.exitCode === 2; tries += 1) {
    report = await verifyOnce(directory, verifiers) // one after the other: the second because of the first
  }
  port.postMessage(report)
}

async function verifyOnce(directory: string, verifiers: readonly Verifier[]): Promise<SourceReport> {
  try {
    return await verifySource(createSpoolSource(directory), { verifiers, allowUnanchored: true })
  } catch (thrown) {
    if (!(thrown instanceof AuditError)) throw thrown
    const unreadable = [{ reason: thrown.message }]
    const nothing = { records: 0, checkpoints: 0, streams: [], findings: [], findingCounts: {}, observations: [] }
    return { name: directory, kind: 'spool', verdict: 'UNREADABLE', exitCode: 2, ...nothing, unreadable }
  }
}
