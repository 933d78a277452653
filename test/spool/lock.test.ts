import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { AuditError } from '../../src/errors.ts'
import { isLocked, lockFile, lockSpool } from '../../src/spool/lock.ts'
import { freshDirectory } from './harness.ts'

const noFullDevice = existsSync('/dev/full') ? false : 'there is no /dev/full here'

test('a second writer is refused with the holder in the message, and admitted after release', (t) => {
  const directory = freshDirectory(t)
  const lock = lockSpool(directory)
  assert.equal(isLocked(directory), true)
  assert.throws(
    () => lockSpool(directory, 0),
    (error) =>
      error instanceof AuditError && error.code === 'SPOOL_LOCKED' && error.message.includes(String(process.pid)),
  )
  lock.release()
  assert.equal(isLocked(directory), false)
  lockSpool(directory).release()
})

test('looking whether a spool is locked creates nothing', (t) => {
  const directory = freshDirectory(t)
  assert.equal(isLocked(directory), false)
})

test('the lock of a process ends with SIGKILL, and holds while it is stopped', async (t) => {
  const directory = freshDirectory(t)
  const module = new URL('../../src/spool/lock.ts', import.meta.url).href
  const program = `import { lockSpool } from ${JSON.stringify(module)}; lockSpool(process.argv[1]); console.log('locked'); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  assert.equal(isLocked(directory), true)
  child.kill('SIGSTOP')
  assert.throws(() => lockSpool(directory, 0), /SPOOL_LOCKED|is written by process/)
  child.kill('SIGKILL')
  await once(child, 'close')
  lockSpool(directory).release()
})

test('a disk without room for the pid of the holder is no reason not to lock', { skip: noFullDevice }, () => {
  const lock = lockFile('/dev/full', 0)
  assert.ok('identity' in lock)
  lock.release()
})
