/** Which slot is taken, and what becomes of those that nobody holds. */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { type Audit, AuditError, type AuditOptions } from '../../src/index.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { isLocked } from '../../src/spool/lock.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { recordsAt } from '../support/delivered.ts'
import { startOtlpBackend } from '../support/otlp-backend.ts'
import { importAudit, startProgram } from '../support/program.ts'
import { freshFolder, openAudit } from './opened.ts'

const parentOf = (folder: string) => join(folder, 'spools')

function openSlot(folder: string, options: AuditOptions = {}): Audit {
  return openAudit(folder, { spool: { directory: parentOf(folder), instances: 'slots' }, ...options })
}

/** A process that emits `count` events into a slot and is killed. */
async function leaveOrphan(t: Parameters<typeof startProgram>[0], folder: string, options: string): Promise<void> {
  const program = startProgram(
    t,
    `const audit = createAudit({ service: 'billing', policy: { level: 'all' }, ${options},
       spool: { directory: ${JSON.stringify(parentOf(folder))}, instances: 'slots' } })
     for (let at = 0; at < 100; at += 1) audit.emit({ action: 'orphan.' + at })
     console.log('slot', audit.state.slot)
     setInterval(() => {}, 1_000)`,
  )
  assert.equal(await program.line('slot'), 'slot-0002')
  await program.kill('SIGKILL')
}

test('each trail has a slot of its own, and all of them one key', async (t) => {
  const folder = freshFolder(t)
  const audits = [openSlot(folder), openSlot(folder), openSlot(folder)]
  assert.deepEqual(
    audits.map((audit) => audit.state.slot),
    ['slot-0001', 'slot-0002', 'slot-0003'],
  )
  assert.equal(new Set(audits.map((audit) => audit.verifierKey)).size, 1)
  assert.equal(new Set(audits.map((audit) => audit.state.stream)).size, 3)
  assert.deepEqual(readdirSync(parentOf(folder)).toSorted(), ['audit.key', 'slot-0001', 'slot-0002', 'slot-0003'])
})

test('the first slot that is free is taken again, and its stream goes on', async (t) => {
  const folder = freshFolder(t)
  const [first, second] = [openSlot(folder), openSlot(folder)]
  const { stream, sequence } = first.state
  await first.close()
  const next = openSlot(folder)
  assert.equal(next.state.slot, 'slot-0001')
  assert.equal(next.state.stream, stream)
  assert.ok(next.state.sequence > sequence)
  assert.equal(second.state.slot, 'slot-0002')
})

test('a slot that cannot be read is passed over and left as it is', async (t) => {
  const folder = freshFolder(t)
  await openSlot(folder).close()
  const control = join(parentOf(folder), 'slot-0001', 'control')
  writeFileSync(control, Buffer.alloc(16_384, 0x55))
  const audit = openSlot(folder)
  assert.equal(audit.state.slot, 'slot-0002')
  assert.deepEqual(readFileSync(control), Buffer.alloc(16_384, 0x55))
  assert.equal(isLocked(join(parentOf(folder), 'slot-0001')), false)
})

test('a directory that cannot be written is refused, slots or not', (t) => {
  const folder = freshFolder(t)
  writeFileSync(parentOf(folder), 'no directory')
  assert.throws(
    () => openSlot(folder),
    (thrown) => thrown instanceof AuditError && thrown.code === 'SPOOL_NOT_WRITABLE',
  )
})

test('a file destination without {slot} in its path is refused', (t) => {
  const folder = freshFolder(t)
  const destinations = [{ type: 'file', path: join(folder, 'trail.ndjson') }] as const
  assert.throws(
    () => openSlot(folder, { destinations }),
    (thrown) =>
      thrown instanceof AuditError && thrown.setting === 'destinations[0].path' && /\{slot\}/.test(thrown.message),
  )
})

test('each slot writes its own file', async (t) => {
  const folder = freshFolder(t)
  const destinations = [{ type: 'file', path: join(folder, 'trail-{slot}.ndjson') }] as const
  const audits = [openSlot(folder, { destinations }), openSlot(folder, { destinations })]
  for (const audit of audits) audit.emit({ action: 'a' })
  await Promise.all(audits.map((audit) => audit.flush()))
  for (const name of ['trail-0001.ndjson', 'trail-0002.ndjson']) {
    assert.match(readFileSync(join(folder, name), 'utf8'), /"action":"a"/)
  }
})

test('a slot whose process was killed is drained by another, which says so and lets go of it', async (t) => {
  const folder = freshFolder(t)
  const backend = await startOtlpBackend()
  t.after(() => backend.close())
  const destinations = [
    { type: 'otlp', endpoint: backend.url, protocol: 'http/json' },
    { type: 'file', path: join(folder, 'trail-{slot}.ndjson') },
  ] as const
  const audit = openSlot(folder, { destinations })
  const dead = destinations.map((one) => (one.type === 'otlp' ? { ...one, endpoint: 'http://127.0.0.1:9' } : one))
  await leaveOrphan(t, folder, `destinations: ${JSON.stringify(dead)}`)

  const orphans = () => recordsAt(backend).filter((record) => record.includes('"action":"orphan.'))
  while (orphans().length < 100 || audit.state.adopted !== undefined) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.equal(new Set(orphans()).size, 100)
  while (isLocked(join(parentOf(folder), 'slot-0002'))) await new Promise((resolve) => setTimeout(resolve, 20))
  const lines = readFileSync(join(folder, 'trail-0002.ndjson'), 'utf8').trimEnd().split('\n')
  assert.equal(lines.filter((line) => line.includes('"action":"orphan.')).length, 100)
  const view = viewSpool(diskFiles, join(parentOf(folder), 'slot-0002'))
  assert.equal(view.state.clean, false, 'whoever takes it next seals that its process crashed')
  assert.equal(openSlot(folder, { destinations }).state.slot, 'slot-0002')
})

test('the end of a thread that adopts frees the adopted slot too', async (t) => {
  const folder = freshFolder(t)
  const backend = await startOtlpBackend(() => {}) // takes requests and never answers
  t.after(() => backend.close())
  const otlp = { type: 'otlp', endpoint: backend.url, protocol: 'http/json' }
  const trail = `const audit = createAudit({ service: 'billing', policy: { level: 'all' }, destinations: [${JSON.stringify(otlp)}],
    spool: { directory: ${JSON.stringify(parentOf(folder))}, instances: 'slots' } })
    import { parentPort } from 'node:worker_threads'
    const look = setInterval(() => audit.state.adopted && parentPort.postMessage(audit.state.adopted.slot), 20)`
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(importAudit + trail)}`))
  t.after(() => worker.terminate())
  while (!isLocked(join(parentOf(folder), 'slot-0001'))) await new Promise((resolve) => setTimeout(resolve, 20))
  await leaveOrphan(t, folder, `destinations: [${JSON.stringify({ ...otlp, endpoint: 'http://127.0.0.1:9' })}]`)
  const adopted = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  assert.equal(adopted, 'slot-0002')
  assert.equal(isLocked(join(parentOf(folder), 'slot-0002')), true)
  await worker.terminate()
  assert.equal(isLocked(join(parentOf(folder), 'slot-0001')), false)
  assert.equal(isLocked(join(parentOf(folder), 'slot-0002')), false)
})
