import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseVerifierKey } from '../../src/chain/note.ts'
import { useClocks } from '../../src/clock.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { freshFolder, openAudit, type RecordJson } from './opened.ts'

const hourMs = 3_600_000

test('a clock an hour back while running: recorded stands still, then a new stream names the old one, and both verify', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'trail.ndjson')
  const audit = openAudit(folder, { destinations: [{ type: 'file', path }], closeTimeoutMs: 20_000 })
  const first = audit.emit({ action: 'before' })
  let backMs = 0
  t.after(useClocks({ wallMs: () => Date.now() - backMs }))
  backMs = hourMs
  const { stream } = audit.state
  let emitted = 0
  for (; audit.state.stream === stream; emitted += 1) {
    assert.equal(audit.emit({ action: `back-${emitted}` }).status, 'written')
    await new Promise((resolve) => setImmediate(resolve))
  }
  const second = audit.emit({ action: 'after' })
  assert.ok(first.status === 'written' && second.status === 'written')
  assert.notEqual(second.stream, first.stream)
  await Promise.all([first.durable, second.durable])
  await audit.close()

  const records = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as RecordJson)
  const events = records.filter((record) => record.event_type === 'audit').map(({ action }) => action)
  assert.deepEqual(events, ['before', ...Array.from({ length: emitted }, (_, at) => `back-${at}`), 'after'])
  const opened = records.findLast((record) => record.event_type === 'audit.stream.opened')
  const old = records.filter((record) => record.stream === first.stream)
  const predecessor = opened?.details?.predecessor as Record<string, unknown>
  assert.deepEqual([opened?.stream, opened?.seq], [second.stream, 1])
  assert.deepEqual([predecessor.stream, predecessor.seq, predecessor.reason], [first.stream, old.length, 'clock'])
  assert.ok(String(opened?.recorded) < String(old.at(-1)?.recorded), 'the new stream has the clock as it is')
  for (const record of old.filter(({ action }) => action.startsWith('back-'))) {
    const behindMs = Date.parse(String(record.recorded)) - Date.parse(String(record.clock))
    assert.ok(behindMs > hourMs / 2, `${record.recorded} against ${record.clock}`)
  }
  const verifier = parseVerifierKey(audit.verifierKey)
  assert.ok('keyId' in verifier)
  for (const copy of [path, join(folder, 'spool')]) {
    const { findings, streams } = await verifySource(await openSource(copy), { verifiers: [verifier] })
    assert.deepEqual(findings, [])
    assert.equal(streams.length, 2)
  }
})
