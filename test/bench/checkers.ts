/** The contenders of `verify` and `proof`: each reads one copy of the trail and says what that took. */

import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseVerifierKey, type Verifier } from '../../src/chain/note.ts'
import { checkProof } from '../../src/verify/proof.ts'
import { createProof } from '../../src/verify/prove.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySources } from '../../src/verify/verify.ts'
import { type Figures, quantile } from './figures.ts'
import { verifyLongTrail } from './long-trail.ts'
import type { TrailCopies } from './trail-copies.ts'

export interface CheckerSetup extends TrailCopies {
  /** Of the trail whose verification shows what it keeps in memory. */
  readonly longRecords?: number | undefined
  /** How many proofs are made. */
  readonly proofs?: number | undefined
}

export type Checker = (setup: CheckerSetup) => Promise<Figures>

type Copy = 'spool' | 'ndjson' | 'gzip' | 'otlp' | 'archive' | 'postgres'

const verifying =
  (copy: Copy): Checker =>
  (setup) =>
    measured(setup, () => verifyCopy(setup[copy], setup.verifierKey))
const proving =
  (copy: Copy): Checker =>
  (setup) =>
    measureProofs(setup, copy)

export const checkers: Readonly<Record<string, Checker>> = {
  spool: verifying('spool'),
  ndjson: verifying('ndjson'),
  gzip: verifying('gzip'),
  otlp: verifying('otlp'),
  archive: verifying('archive'),
  postgres: verifying('postgres'),
  'sha-records': (setup) => measured(setup, () => hashRecords(readFileSync(setup.ndjson))),
  'sha-whole': (setup) =>
    measured(setup, () => {
      hash('sha256', readFileSync(setup.ndjson), 'hex')
      return setup.records
    }),
  'memory-short': verifyLongTrail,
  'memory-long': verifyLongTrail,
  'prove-archive': proving('archive'),
  'prove-spool': proving('spool'),
  'prove-postgres': proving('postgres'),
  'prove-ndjson': proving('ndjson'),
}

/** Time, and CPU of all threads of this process: reading is done by others than the one that verifies. */
async function measured(setup: CheckerSetup, check: () => Promise<number> | number): Promise<Figures> {
  const [whole, startMs] = [process.cpuUsage(), performance.now()]
  const records = await check()
  const seconds = (performance.now() - startMs) / 1_000
  const { user, system } = process.cpuUsage(whole)
  if (records !== setup.records) throw new Error(`${records} of ${setup.records} records were seen`)
  const megabytes = setup.bytes / 1e6
  return { records, perSecond: records / seconds, megabytes: megabytes / seconds, cpuUs: (user + system) / records }
}

/** Verifies the copy as `otel-audit verify` does; throws unless it is intact. */
async function verifyCopy(name: string, verifierKey: string): Promise<number> {
  const report = await verifySources([await openSource(name)], { verifiers: [verifierOf(verifierKey)] })
  if (report.exitCode !== 0) throw new Error(`${name}: ${JSON.stringify(report.sources[0]?.findings[0] ?? report)}`)
  return report.records
}

/** Proofs of records all over the trail. */
async function measureProofs(setup: CheckerSetup, copy: Copy): Promise<Figures> {
  const verifiers = [verifierOf(setup.verifierKey)]
  const count = copy === 'ndjson' ? 1 : (setup.proofs ?? 1)
  const [createMs, checkMs] = [new Float64Array(count), new Float64Array(count)]
  const source = await openSource(setup[copy])
  for (let index = 0; index < count; index += 1) {
    const sequence = 1 + ((index * 7_919) % (setup.records - 1))
    const startMs = performance.now()
    const created = await createProof(source, { sequence }, verifiers)
    const createdMs = performance.now()
    if (created.problem !== undefined) throw new Error(`no proof of ${sequence}: ${created.reason}`)
    const checked = checkProof(created.proof, created.record, verifiers)
    if (checked.problem !== undefined) throw new Error(`the proof of ${sequence} does not check: ${checked.reason}`)
    createMs[index] = createdMs - startMs
    checkMs[index] = performance.now() - createdMs
  }
  return { createMs: quantile(createMs, 0.5), slowMs: quantile(createMs, 0.99), checkMs: quantile(checkMs, 0.5) }
}

function verifierOf(verifierKey: string): Verifier {
  const verifier = parseVerifierKey(verifierKey)
  if ('reason' in verifier) throw new Error(verifier.reason)
  return verifier
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
