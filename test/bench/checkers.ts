/** The contenders of `verify` and `proof`: each reads one copy of the trail and says what that took. */

import { execFileSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { parseVerifierKey, type Verifier } from '../../src/chain/note.ts'
import { parseRecord } from '../../src/event/record.ts'
import { checkProof, type WantedRecord } from '../../src/verify/proof.ts'
import { createProof } from '../../src/verify/prove.ts'
import type { Source } from '../../src/verify/source.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySources } from '../../src/verify/verify.ts'
import { type Figures, quantile } from './figures.ts'
import { sequencesOver } from './long-archive.ts'
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
  (copy: Copy, by: 'number' | 'id' = 'number'): Checker =>
  (setup) =>
    measureProofs(setup, copy, by)

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
  sha256sum: (setup) => measureProgram(setup),
  'memory-short': verifyLongTrail,
  'memory-long': verifyLongTrail,
  'prove-archive': proving('archive'),
  'prove-spool': proving('spool'),
  'prove-spool-id': proving('spool', 'id'),
  'prove-postgres': proving('postgres'),
  'prove-postgres-id': proving('postgres', 'id'),
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

/** The program, its start included; its CPU is not ours to see. */
async function measureProgram(setup: CheckerSetup): Promise<Figures> {
  const {
    perSecond = 0,
    megabytes = 0,
    records = 0,
  } = await measured(setup, () => {
    execFileSync('sha256sum', [setup.ndjson])
    return setup.records
  })
  return { records, perSecond, megabytes }
}

/** Verifies the copy as `otel-audit verify` does; throws unless it is intact. */
async function verifyCopy(name: string, verifierKey: string): Promise<number> {
  const report = await verifySources([await openSource(name)], { verifiers: [verifierOf(verifierKey)] })
  if (report.exitCode !== 0) throw new Error(`${name}: ${JSON.stringify(report.sources[0]?.findings[0] ?? report)}`)
  return report.records
}

/** Proofs of records all over the trail. */
async function measureProofs(setup: CheckerSetup, copy: Copy, by: 'number' | 'id'): Promise<Figures> {
  const verifiers = [verifierOf(setup.verifierKey)]
  const count = copy === 'ndjson' ? 1 : (setup.proofs ?? 1)
  const [createMs, checkMs] = [new Float64Array(count), new Float64Array(count)]
  const source = await openSource(setup[copy])
  const wanted = await wantedOver(source, { ...setup, count, by })
  const before = readInputs()
  for (const [index, one] of wanted.entries()) {
    const startMs = performance.now()
    const created = await createProof(source, one, verifiers)
    const createdMs = performance.now()
    if (created.problem !== undefined) throw new Error(`no proof of ${JSON.stringify(one)}: ${created.reason}`)
    const checked = checkProof(created.proof, created.record, verifiers)
    if (checked.problem !== undefined) throw new Error(`the proof of ${created.sequence} fails: ${checked.reason}`)
    createMs[index] = createdMs - startMs
    checkMs[index] = performance.now() - createdMs
  }
  const after = readInputs()
  return {
    records: setup.records,
    createMs: quantile(createMs, 0.5),
    slowMs: quantile(createMs, 0.99),
    checkMs: quantile(checkMs, 0.5),
    reads: (after.calls - before.calls) / count,
    kilobytes: (after.bytes - before.bytes) / 1_000 / count,
  }
}

async function wantedOver(
  source: Source,
  { records, count, by }: { readonly records: number; readonly count: number; readonly by: 'number' | 'id' },
): Promise<WantedRecord[]> {
  const wanted = sequencesOver(records, count).map((sequence) => ({ sequence }))
  if (by === 'number') return wanted
  const ids: WantedRecord[] = []
  for (const { sequence } of wanted) {
    // One after the other: it is no more than a setup.
    const created = await createProof(source, { sequence }, [])
    if (created.problem !== undefined) throw new Error(`no proof of ${sequence}: ${created.reason}`)
    ids.push({ id: parseRecord(created.record)?.id })
  }
  return ids
}

/** Read calls of this process and what they gave, where the kernel counts them. */
function readInputs(): { readonly calls: number; readonly bytes: number } {
  const counted = existsSync('/proc/self/io') ? readFileSync('/proc/self/io', 'latin1') : ''
  const numberOf = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(counted)?.[1])
  return { calls: numberOf('syscr'), bytes: numberOf('rchar') }
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
