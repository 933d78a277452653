/** A trail that is written to a small file: closed, compressed, deleted and verified as a user would have it. */

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { parseVerifierKey } from '../../src/chain/note.ts'
import { createAudit } from '../../src/index.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'

async function writeTrail(t: TestContext, options: { readonly maxBackups?: number }) {
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-file-trail-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'audit.ndjson')
  const audit = createAudit({
    service: 'billing',
    spool: { directory: join(directory, 'spool') },
    policy: { level: 'all' },
    destinations: [{ type: 'file', path, maxMb: 0.005, flushIntervalMs: 0, batchRecordsMax: 5, ...options }],
  })
  const closed = () => readdirSync(directory).filter((name) => /\.\d{6}/.test(name))
  for (let round = 0; round < 12; round++) {
    for (let count = 0; count < 10; count++)
      audit.emit({ action: 'invoice.delete', target: { resource_type: 'invoice', id: `${count}` } })
    await audit.flush()
  }
  return { audit, path, closed }
}

/** The text of the file that is being written; none while one has been closed and the next is not begun yet. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

async function verify(path: string, verifierKey: string) {
  const verifier = parseVerifierKey(verifierKey)
  assert.ok(!('problem' in verifier))
  return verifySource(await openSource(path), { verifiers: [verifier] })
}

test('the chain goes on across closed files, compressed or about to be', async (t) => {
  const { audit, path, closed } = await writeTrail(t, {})
  await audit.close()
  assert.ok(closed().length > 5)
  const report = await verify(path, audit.verifierKey)
  assert.deepEqual([report.verdict, report.findings], ['INTACT', []])
  assert.ok(report.records > 120)
})

test('what maxBackups deletes is sealed, and what is left verifies', async (t) => {
  const { audit, path, closed } = await writeTrail(t, { maxBackups: 2 })
  const deadline = AbortSignal.timeout(20_000)
  let kept = closed().length
  for (; kept > 2 && !deadline.aborted; kept = closed().length) await nextTurn()
  assert.ok(kept <= 2, `${kept} closed files`)
  // What is left proves itself between two checkpoints that it holds: an event, and the checkpoint that covers it.
  const checkpoints = () => {
    return textOf(path).split('"event_type":"audit.checkpoint"').length
  }
  for (let round = 0; round < 3; round++) {
    const before = checkpoints()
    audit.emit({ action: 'invoice.read' })
    while (checkpoints() === before && !deadline.aborted) await sleep(20)
  }
  await audit.close()
  const report = await verify(path, audit.verifierKey)
  assert.deepEqual([report.exitCode, report.findings], [0, []])
  assert.ok(report.observations.some(({ verdict }) => verdict === 'PRUNED'))
})
