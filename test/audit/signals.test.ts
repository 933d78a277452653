/** `handleSignals`: SIGTERM closes the trail and then ends the process, unless the application decides. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { diskFiles } from '../../src/spool/files.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { type Program, startProgram } from '../support/program.ts'
import { freshFolder } from './opened.ts'

function isClosed(folder: string, name = 'spool'): boolean {
  return viewSpool(diskFiles, join(folder, name)).state.clean
}

/** A program with trails of these names that runs until it is told otherwise. */
async function startTrails(t: TestContext, folder: string, { names = ['spool'], more = '' }): Promise<Program> {
  const program = startProgram(
    t,
    `const audits = ${JSON.stringify(names)}.map((name) => createAudit({ handleSignals: true, policy: { level: 'all' },
       spool: { directory: ${JSON.stringify(folder)} + '/' + name } }))
     for (const audit of audits) audit.emit({ action: 'a' })
     setInterval(() => {}, 1_000)
     ${more}
     console.log('ready', process.listenerCount('SIGTERM'))`,
  )
  await program.line('ready')
  return program
}

test('SIGTERM closes every trail, and then ends the process as it does without us', async (t) => {
  const folder = freshFolder(t)
  const names = ['a', 'b', 'c']
  const program = await startTrails(t, folder, { names })
  const { signal } = await program.kill('SIGTERM')
  assert.equal(signal, 'SIGTERM', program.complaints)
  assert.deepEqual(
    names.map((name) => isClosed(folder, name)),
    [true, true, true],
  )
})

test('an application that listens too decides when to end', async (t) => {
  const folder = freshFolder(t)
  const more = `process.once('SIGTERM', () => audits[0].close().then(() => setImmediate(() => process.exit(7))))`
  const program = await startTrails(t, folder, { more })
  assert.equal((await program.kill('SIGTERM')).code, 7, program.complaints)
  assert.equal(isClosed(folder), true)
})

test('what the application emits as the signal comes is recorded before the end of the stream', async (t) => {
  const more = `process.once('SIGTERM', () => console.log('last', audits[0].emit({ action: 'daemon.stop' }).status))
    process.on('SIGTERM', () => audits[0].close().then(() => setImmediate(() => process.exit(0))))`
  const folder = freshFolder(t)
  const program = await startTrails(t, folder, { more })
  const last = program.line('last')
  await program.kill('SIGTERM')
  assert.equal(await last, 'written', program.complaints)
  assert.equal(isClosed(folder), true)
})

test('after close nothing listens any more', async (t) => {
  const more = `await audits[0].close()`
  const program = await startTrails(t, freshFolder(t), { more })
  assert.equal(await program.line('ready'), '0')
})
