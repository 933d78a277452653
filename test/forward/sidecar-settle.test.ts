/** What a sidecar does to a spool whose writer is gone, and that it does nothing to one that has a writer. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Settler } from '../../src/forward/sidecar-settle.ts'
import { durableEnd, readPresentControl } from '../../src/spool/control.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { isLocked, lockSpool } from '../../src/spool/lock.ts'
import { freshFolder, openAudit } from '../audit/opened.ts'
import { importAudit, startCommand } from '../support/program.ts'

/** A spool whose program was killed right behind its emits. */
async function killed(t: TestContext): Promise<string> {
  const directory = join(freshFolder(t), 'spool')
  const body = `const audit = createAudit({ spool: { directory: process.argv[1] }, policy: { level: 'all' } })
for (let at = 0; at < 100; at += 1) audit.emit({ action: 'app.test' })
process.kill(process.pid, 'SIGKILL')`
  await startCommand(t, [process.execPath, '--input-type=module', '-e', importAudit + body, directory]).ended
  return directory
}

function settlerOf(directory: string, names: readonly string[] = []) {
  const said: string[] = []
  const settler = new Settler({ files: diskFiles, directory, names, say: (text) => said.push(text) })
  return { settler, said }
}

function lastDurable(directory: string): number {
  return durableEnd(readPresentControl(diskFiles, directory)).nextSequence - 1
}

const controlOf = (directory: string) => readFileSync(join(directory, 'control'))

test('everything written is durable at the second look, and the lock is free', async (t) => {
  const directory = await killed(t)
  const { settler, said } = settlerOf(directory)
  settler.look()
  settler.look()
  assert.ok(lastDurable(directory) >= 101, 'opened, and 100 events')
  assert.equal(isLocked(directory), false)
  assert.deepEqual(said, [])
  const settled = controlOf(directory)
  for (let look = 0; look < 20; look += 1) settler.look()
  assert.deepEqual(controlOf(directory), settled, 'once is enough')
})

test('names that the spool does not keep segments for are added, beside those it has', async (t) => {
  const directory = await killed(t)
  const { settler } = settlerOf(directory, ['s3', 'file'])
  assert.equal(settler.lookNow(), true)
  assert.deepEqual(readPresentControl(diskFiles, directory).state.destinations, ['s3', 'file'])
  assert.equal(readPresentControl(diskFiles, directory).state.clean, false, 'it was not closed')
})

test('a spool with a writer is left alone, and a name that it lacks is said once', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  const receipt = audit.emit({ action: 'app.test' })
  await receipt.durable
  const directory = join(folder, 'spool')
  const { settler, said } = settlerOf(directory, ['s3'])
  assert.equal(settler.lookNow(), false)
  for (let look = 0; look < 20; look += 1) settler.look()
  assert.deepEqual(readPresentControl(diskFiles, directory).state.destinations, [])
  assert.equal(said.length, 1)
  assert.match(said[0] ?? '', /has no destination named s3: it may give back what that one lacks/)
})

test('a writer that is quicker is no trouble, and damage is said once', async (t) => {
  const directory = await killed(t)
  const { settler, said } = settlerOf(directory)
  const lock = lockSpool(directory)
  settler.look()
  settler.look()
  lock.release()
  assert.deepEqual(said, [])
  diskFiles.unlink(join(directory, 'control'))
  settler.look()
  settler.look()
  assert.equal(said.length, 1)
  assert.match(said[0] ?? '', /cannot be recovered/)
})
