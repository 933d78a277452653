/** The contenders of `verify`: each reads one copy of the trail from disk and returns how many records it saw. */

import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseVerifierKey } from '../../src/chain/note.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySources } from '../../src/verify/verify.ts'

export interface CheckerSetup {
  readonly spool: string
  readonly ndjson: string
  readonly verifierKey: string
  /** How many records each copy holds. */
  readonly records: number
}

export type Checker = (setup: CheckerSetup) => Promise<number>

export const checkers: Readonly<Record<string, Checker>> = {
  spool: ({ spool, verifierKey }) => verifyCopy(spool, verifierKey),
  ndjson: ({ ndjson, verifierKey }) => verifyCopy(ndjson, verifierKey),
  'sha-records': async ({ ndjson }) => hashRecords(readFileSync(ndjson)),
  'sha-whole': async ({ ndjson, records }) => {
    hash('sha256', readFileSync(ndjson), 'hex')
    return records
  },
}

/** Verifies the copy as `otel-audit verify` does; throws unless it is intact. */
async function verifyCopy(path: string, verifierKey: string): Promise<number> {
  const verifier = parseVerifierKey(verifierKey)
  if ('reason' in verifier) throw new Error(verifier.reason)
  const report = await verifySources([await openSource(path)], { verifiers: [verifier] })
  if (report.exitCode !== 0) throw new Error(`${path}: ${report.verdict}`)
  return report.records
}

/** SHA-256 of each line. */
function hashRecords(file: Buffer): number {
  let records = 0
  for (let from = 0; from < file.length; records += 1) {
    const newline = file.indexOf('\n', from)
    const end = newline < 0 ? file.length : newline
    hash('sha256', file.subarray(from, end), 'hex')
    from = end + 1
  }
  return records
}
