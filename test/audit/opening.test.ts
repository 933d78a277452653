import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { successionFact } from '../../src/audit/opening.ts'
import { readPresentControl, replaceControl } from '../../src/spool/control.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { openDirectory } from '../../src/spool/segment.ts'
import { freshFolder, openAudit, recordsIn } from './opened.ts'

test('what happened while no writer lived is sealed right behind opened, once, and control forgets it', async (t) => {
  const folder = freshFolder(t)
  const directory = join(folder, 'spool')
  await openAudit(folder).close()
  const facts = [
    { type: 'audit.gap', details: { reason: 'accepted_loss', count: 3, operator: 'somebody', quarantined: 2 } },
    { type: 'audit.destination.dropped', details: { name: 'old', why: 'gone' } },
  ] as const
  const own = openDirectory(diskFiles, directory)
  const { state } = readPresentControl(diskFiles, directory)
  replaceControl(diskFiles, own, { state: { ...state, facts }, machine: state.place?.machine ?? '' })
  diskFiles.close(own.file)

  const before = recordsIn(folder).length
  const audit = openAudit(folder)
  audit.emit({ action: 'next' })
  await audit.close()
  const records = recordsIn(folder).slice(before)
  assert.deepEqual(
    records.slice(0, 4).map(({ action }) => action),
    ['audit.stream.opened', 'audit.gap', 'audit.destination.dropped', 'next'],
  )
  assert.equal(records[0]?.details?.quarantined, 2)
  assert.deepEqual(
    records.slice(1, 3).map(({ details }) => details),
    facts.map(({ details }) => details),
  )
  assert.equal(readPresentControl(diskFiles, directory).state.facts, undefined)
  const reopened = openAudit(folder)
  await reopened.close()
  assert.equal(recordsIn(folder).filter(({ action }) => action === 'audit.gap').length, 1)
})

const owner = { deployment: 'test', verifierKey: 'test+00000000+AA' }

test('a stream that follows a stream without records names it without a hash', () => {
  const { details } = successionFact(owner, { stream: 's', sequence: 0, hash: undefined, reason: 'clock' })
  assert.deepEqual(details.predecessor, { stream: 's', seq: 0, reason: 'clock' })
})
