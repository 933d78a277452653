/** When a slot is worth its lock: closed and killed processes, destinations that it has and that the heir has. */

import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { lookAtSlot } from '../../src/forward/orphan.ts'
import { CursorFile } from '../../src/spool/cursor.ts'
import { diskFiles, ensureDirectory } from '../../src/spool/files.ts'
import { freshFolder, openAudit, recordsIn } from '../audit/opened.ts'

const dead = { type: 'otlp', endpoint: 'http://127.0.0.1:9' } as const
const heir = { deployment: 'billing', names: ['otlp', 'file'] }

/** The directory of a spool with the destination `otlp`, which is down, closed with one record in it. */
async function closedSpool(t: TestContext): Promise<{ folder: string; directory: string }> {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { destinations: [dead] })
  audit.emit({ action: 'a' })
  await audit.close()
  return { folder, directory: join(folder, 'spool') }
}

/** Confirms the last record of the spool for a destination. */
function confirmLast(folder: string, name: string): void {
  const last = recordsIn(folder).at(-1)
  const cursor = new CursorFile(diskFiles, join(folder, 'spool'), name)
  cursor.save({ confirmed: { stream: String(last?.stream), sequence: last?.seq ?? 0 } })
  cursor.close()
}

test('a slot owes to the destinations that it has and the heir has too', async (t) => {
  const { directory } = await closedSpool(t)
  const owedTo = (names: string[]) => lookAtSlot(diskFiles, directory, { ...heir, names })
  assert.deepEqual(owedTo(['otlp', 'file'])?.owed, ['otlp'])
  assert.deepEqual(owedTo(['file'])?.owed, [])
  assert.equal(owedTo(['file'])?.mayOwe, false)
})

test('a slot whose last record is confirmed owes nothing', async (t) => {
  const { folder, directory } = await closedSpool(t)
  assert.equal(lookAtSlot(diskFiles, directory, heir)?.mayOwe, true)
  confirmLast(folder, 'otlp')
  const look = lookAtSlot(diskFiles, directory, heir)
  assert.deepEqual([look?.owed, look?.mayOwe], [[], false])
})

test('a slot that was not closed may owe more than is durable', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { destinations: [dead] })
  await audit.emit({ action: 'a' }).durable
  const copy = join(folder, 'copy')
  cpSync(join(folder, 'spool'), join(copy, 'spool'), { recursive: true })
  confirmLast(copy, 'otlp')
  assert.equal(lookAtSlot(diskFiles, join(copy, 'spool'), heir)?.mayOwe, true)
})

test('a slot of another deployment owes nothing to the heir', async (t) => {
  const { directory } = await closedSpool(t)
  const look = lookAtSlot(diskFiles, directory, { ...heir, deployment: 'shipping' })
  assert.deepEqual([look?.owed, look?.mayOwe], [[], false])
})

test('a slot that is being made is none yet', (t) => {
  const directory = join(freshFolder(t), 'slot-0001')
  ensureDirectory(directory)
  assert.equal(lookAtSlot(diskFiles, directory, heir), undefined)
})

test('the mark of a slot changes with every cursor and every record', async (t) => {
  const { folder, directory } = await closedSpool(t)
  const marks = [lookAtSlot(diskFiles, directory, heir)?.mark]
  confirmLast(folder, 'otlp')
  marks.push(lookAtSlot(diskFiles, directory, heir)?.mark)
  const audit = openAudit(folder)
  marks.push(lookAtSlot(diskFiles, directory, heir)?.mark)
  await audit.emit({ action: 'b' }).durable
  marks.push(lookAtSlot(diskFiles, directory, heir)?.mark)
  assert.equal(new Set(marks).size, 4)
})
