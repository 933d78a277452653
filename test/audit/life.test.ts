/** A trail beside the other things a process does: children, worker threads, a clock that is set. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { AuditError } from '../../src/index.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySources } from '../../src/verify/verify.ts'
import { importAudit, startProgram } from '../support/program.ts'
import { eventsIn, freshFolder, openAudit } from './opened.ts'

const trailIn = (folder: string, more = '') =>
  `const audit = createAudit({ service: 'billing', policy: { level: 'all' }, spool: { directory: ${JSON.stringify(join(folder, 'spool'))}${more} } })\n`

test('a child that was started after the opening does not keep the lock of a parent that was killed', async (t) => {
  const folder = freshFolder(t)
  const parent = startProgram(
    t,
    `${trailIn(folder)}
     import { spawn } from 'node:child_process'
     const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore', detached: true })
     audit.emit({ action: 'a' })
     child.once('spawn', () => console.log('child', child.pid))
     process.stdin.resume()`,
  )
  const child = Number(await parent.line('child'))
  t.after(() => process.kill(child, 'SIGKILL'))
  assert.throws(() => openAudit(folder), lockedBy(parent.pid))
  await parent.kill('SIGKILL')
  process.kill(child, 0) // it lives
  await openAudit(folder).close()
  assert.deepEqual(
    eventsIn(folder).map((record) => record.action),
    ['a'],
  )
})

test('a child that opens the directory of its parent is refused with the name of the parent', async (t) => {
  const folder = freshFolder(t)
  const parent = startProgram(
    t,
    `${trailIn(folder)}
     import { spawnSync } from 'node:child_process'
     const program = ${JSON.stringify(importAudit)} + 'try { createAudit({ spool: { directory: process.argv[1] } }) } catch (error) { console.log(error.code, error.message) }'
     const run = spawnSync(process.execPath, ['--input-type=module', '-e', program, audit.state.stream && ${JSON.stringify(join(folder, 'spool'))}], { encoding: 'utf8' })
     console.log('refused', run.stdout.trim(), run.stderr)
     await audit.close()`,
  )
  const refusal = await parent.line('refused')
  assert.match(refusal, /^SPOOL_LOCKED /)
  assert.match(refusal, new RegExp(`process ${parent.pid}\\b`))
  assert.equal((await parent.ended).code, 0, parent.complaints)
})

function lockedBy(pid: number): (thrown: unknown) => boolean {
  return (thrown) =>
    thrown instanceof AuditError && thrown.code === 'SPOOL_LOCKED' && thrown.message.endsWith(` ${pid}`)
}

/** A worker thread that opens a trail and obeys: `emit N`, `close`, `exit`. */
function startThread(t: TestContext, folder: string, more = ''): Worker {
  const body = `${importAudit}${trailIn(folder, more)}
    import { parentPort } from 'node:worker_threads'
    parentPort.on('message', async (order) => {
      if (order === 'close') await audit.close()
      else if (order === 'exit') process.exit()
      else for (let at = 0; at < order; at += 1) audit.emit({ action: 'a' + at })
      parentPort.postMessage({ order, slot: audit.state.slot })
    })
    parentPort.postMessage({ order: 'opened', slot: audit.state.slot })`
  const url = new URL(`data:text/javascript,${encodeURIComponent(body)}`)
  const worker = new Worker(url)
  t.after(() => worker.terminate())
  return worker
}

/** Gives an order and waits until it is obeyed. */
async function order(worker: Worker, what: string | number): Promise<void> {
  const obeyed = new Promise((resolve) => worker.once('message', resolve))
  worker.postMessage(what)
  await obeyed
}

async function opened(worker: Worker): Promise<string> {
  return new Promise((resolve, reject) => {
    worker.once('message', ({ slot }: { slot: string }) => resolve(slot))
    worker.once('error', reject)
  })
}

const actions = (count: number) => Array.from({ length: count }, (_, at) => `a${at}`)

test('a trail in a worker thread is closed there, and nothing of the process is closed with it', async (t) => {
  const folder = freshFolder(t)
  const worker = startThread(t, folder)
  await opened(worker)
  await order(worker, 100)
  await order(worker, 'close')
  // Descriptors that the trail had are free and given away again: the end of its thread must not close them.
  const kept = Array.from({ length: 64 }, () => diskFiles.openDirectory(folder))
  await worker.terminate()
  for (const file of kept) diskFiles.close(file)
  assert.deepEqual(
    eventsIn(folder).map((record) => record.action),
    actions(100),
  )
  assert.equal(viewSpool(diskFiles, join(folder, 'spool')).state.clean, true)
})

test('a worker thread that ends without closing has everything durable', async (t) => {
  const folder = freshFolder(t)
  const worker = startThread(t, folder)
  await opened(worker)
  await order(worker, 100)
  const ended = new Promise((resolve) => worker.once('exit', resolve))
  worker.postMessage('exit')
  await ended
  const { durable, records } = viewSpool(diskFiles, join(folder, 'spool'))
  assert.equal(durable.nextSequence - 1, [...records()].at(-1)?.sequence)
  await openAudit(folder).close()
  assert.deepEqual(
    eventsIn(folder).map((record) => record.action),
    actions(100),
  )
})

test('terminate() under load frees the directory at once; what was emitted is there', async (t) => {
  const folder = freshFolder(t)
  for (let round = 0; round < 5; round += 1) {
    const worker = startThread(t, folder)
    await opened(worker)
    await order(worker, 500)
    worker.postMessage(10_000_000)
    await worker.terminate()
  }
  const audit = openAudit(folder)
  await audit.close()
  const own = eventsIn(folder).filter((record) => record.epoch === 1)
  assert.deepEqual(
    own.slice(0, 500).map((record) => record.action),
    actions(500),
  )
  const source = await openSource(join(folder, 'spool'))
  assert.deepEqual((await verifySources([source], { verifiers: [], allowUnanchored: true })).sources[0]?.findings, [])
})

test('several worker threads of one process each take a slot', async (t) => {
  const folder = freshFolder(t)
  const workers = [0, 1, 2].map(() => startThread(t, folder, `, instances: 'slots'`))
  const slots = await Promise.all(workers.map(opened))
  assert.deepEqual(slots.toSorted(), ['slot-0001', 'slot-0002', 'slot-0003'])
  await Promise.all(workers.map((worker) => order(worker, 100)))
  await Promise.all(workers.map((worker) => order(worker, 'close')))
  for (const slot of slots) {
    const records = [...viewSpool(diskFiles, join(folder, 'spool', slot)).records()]
    assert.equal(records.filter((record) => record.bytes.includes('"event_type":"audit"')).length, 100)
  }
})
