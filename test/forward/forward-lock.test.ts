import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { awaitForwardLock, takeForwardLock } from '../../src/forward/forward-lock.ts'
import { freshDirectory } from '../spool/harness.ts'
import { startCommand } from '../support/program.ts'

const module = new URL('../../src/forward/forward-lock.ts', import.meta.url).href
const holding = `import { takeForwardLock } from ${JSON.stringify(module)}
console.log('held', 'release' in takeForwardLock(process.argv[1])); setInterval(() => {}, 1000)`

test('one process has it; another hears once whose it is, and has it when that one is killed', async (t) => {
  const directory = freshDirectory(t)
  const holder = startCommand(t, [process.execPath, '--input-type=module', '-e', holding, directory])
  assert.equal(await holder.line('held'), 'true')
  assert.deepEqual(takeForwardLock(directory), { holder: String(holder.pid) })
  const heard: string[] = []
  const waiting = awaitForwardLock(directory, AbortSignal.timeout(30_000), (pid) => heard.push(pid))
  await holder.kill('SIGKILL')
  const lock = await waiting
  assert.ok(lock !== undefined)
  assert.deepEqual(heard, [String(holder.pid)])
  assert.ok('holder' in takeForwardLock(directory))
  lock.release()
})

test('a wait that is given up takes nothing', async (t) => {
  const directory = freshDirectory(t)
  const lock = takeForwardLock(directory)
  assert.ok('release' in lock)
  const giveUp = new AbortController()
  const waiting = awaitForwardLock(directory, giveUp.signal, () => giveUp.abort())
  assert.equal(await waiting, undefined)
  lock.release()
  const next = takeForwardLock(directory)
  assert.ok('release' in next)
  next.release()
})

test('where it cannot be opened, that is said', async (t) => {
  const gone = join(freshDirectory(t), 'gone')
  await assert.rejects(
    awaitForwardLock(gone, AbortSignal.timeout(1_000), () => {}),
    /ENOENT/,
  )
})
