/** Verification of a real spool as it lies on disk: whole, damaged, cut short, and with a writer in it. */

import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createAudit } from '../../src/audit/create.ts'
import { parseVerifierKey, type Verifier } from '../../src/chain/note.ts'
import { frameHeaderBytes } from '../../src/spool/format.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-verify-spool-'))
after(() => rmSync(folder, { recursive: true }))
const whole = join(folder, 'whole')
const segment = 'seg-00000001.wal'
const verifiers: Verifier[] = []

before(async () => {
  const audit = createAudit({
    service: 'billing',
    deployment: 'prod',
    spool: { directory: whole },
    policy: { level: 'all' },
    keys: { signingKeyFile: join(folder, 'audit.key') },
    destinations: [],
  })
  const verifier = parseVerifierKey(audit.verifierKey)
  assert.ok(!('problem' in verifier))
  verifiers.push(verifier)
  for (let number = 0; number < 9; number += 1) audit.emit({ action: 'invoice.delete', actor: { id: `u-${number}` } })
  const live = await verify(whole)
  assert.equal(live.findings.length, 0, 'nothing is wrong with what a live writer has not synced')
  await audit.close()
})

async function verify(directory: string) {
  return verifySource(await openSource(directory), { verifiers })
}

let copies = 0
/** A copy whose segment was changed. */
function changed(change: (bytes: Buffer) => void): string {
  const directory = join(folder, `copy-${++copies}`)
  cpSync(whole, directory, { recursive: true })
  const bytes = readFileSync(join(whole, segment))
  change(bytes)
  writeFileSync(join(directory, segment), bytes)
  return directory
}

/** The records in the segment: sequence, from, to. */
function placesOfRecords(): { sequence: number; from: number; to: number }[] {
  const text = readFileSync(join(whole, segment)).toString('latin1')
  return [...text.matchAll(/\{"action":"[^\0]*?"v":"1"\}/g)].map(({ index, 0: record }) => ({
    sequence: JSON.parse(record).seq,
    from: index,
    to: index + record.length,
  }))
}

test('a closed spool is INTACT', async () => {
  const report = await verify(whole)
  assert.deepEqual([report.kind, report.verdict, report.exitCode], ['spool', 'INTACT', 0])
  assert.equal(report.records, placesOfRecords().length)
})

test('a changed byte in a record is named with its sequence', async () => {
  const places = placesOfRecords()
  assert.ok(places.length >= 12)
  for (const { sequence, from, to } of places.slice(0, -1)) {
    for (let at = from; at < to; at += 61) {
      const directory = changed((bytes) => bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at))
      const { findings } = await verify(directory)
      assert.deepEqual(
        findings.map((finding) => `${finding.verdict} ${finding.sequence}`),
        [`CONTENT_TAMPERED ${sequence}`],
        `byte ${at}`,
      )
      rmSync(directory, { recursive: true })
    }
  }
})

test('records wiped out are MISSING', async () => {
  const [, , third, fourth] = placesOfRecords()
  assert.ok(third !== undefined && fourth !== undefined)
  const { findings } = await verify(changed((bytes) => bytes.fill(0, third.from - frameHeaderBytes, fourth.to + 1)))
  assert.deepEqual(
    findings.map(({ verdict, from, to }) => `${verdict} ${from}-${to}`),
    ['MISSING 3-4'],
  )
})

test('a segment cut short is TRUNCATED: the control file knows how far it was durable', async () => {
  const last = placesOfRecords().at(-3)
  assert.ok(last !== undefined)
  const directory = changed(() => {})
  truncateSync(join(directory, segment), last.from - frameHeaderBytes)
  const { findings } = await verify(directory)
  assert.ok(
    findings.some(({ verdict, from }) => verdict === 'TRUNCATED' && from === last.sequence),
    JSON.stringify(findings),
  )
})

test('a damaged control file is unreadable, with what to do', async () => {
  const directory = changed(() => {})
  writeFileSync(join(directory, 'control'), Buffer.alloc(8192, 7))
  await assert.rejects(verify(directory), { code: 'SOURCE_UNREADABLE', setting: 'SOURCE' })
})
