/** Suppressed events of real trails: how each end of a process accounts for them, and what they cost. */

import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { diskFiles } from '../../src/spool/files.ts'
import { readWindows, type SuppressionWindow } from '../../src/spool/running-counts.ts'
import { type Program, startProgram } from '../support/program.ts'
import { freshFolder, openAudit, type RecordJson, recordsIn } from './opened.ts'

const sumOf = (windows: readonly SuppressionWindow[]) =>
  windows.flatMap(({ rules }) => rules).reduce((sum, { count }) => sum + count, 0)

/** The windows that records seal. */
function sealedIn(records: readonly RecordJson[]): SuppressionWindow[] {
  const found = records.map(({ action, details }) => (action === 'audit.suppressed' ? details : details?.suppressed))
  return found.filter((window) => window !== undefined) as unknown as SuppressionWindow[]
}

const read = { action: 'invoice.view', operation: 'read', outcome: 'success' } as const
const write = { action: 'invoice.pay', operation: 'execute', outcome: 'success' } as const

/** A program with a trail at `writes_only`. */
function startTrail(t: TestContext, folder: string, body: string, more = ''): Program {
  return startProgram(
    t,
    `const audit = createAudit({ policy: { level: 'writes_only' }, closeTimeoutMs: 200, ${more}
       spool: { directory: ${JSON.stringify(join(folder, 'spool'))} } })
     const read = ${JSON.stringify(read)}
     ${body}`,
  )
}

test('close seals what was suppressed, before the end of the stream and under the hash of the policy', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { policy: { level: 'writes_only' } })
  for (let at = 0; at < 3; at += 1) assert.equal(audit.emit(read).status, 'suppressed')
  const receipt = audit.emit({ ...read, operation: undefined, outcome: undefined })
  await receipt.durable
  audit.emit({ ...read, outcome: 'denied' })
  await audit.close()
  const records = recordsIn(folder)
  assert.deepEqual(
    records.map(({ action }) => action).filter((action) => action !== 'audit.checkpoint'),
    ['audit.stream.opened', 'invoice.view', 'invoice.view', 'audit.suppressed', 'audit.stream.closed'],
  )
  const [window] = sealedIn(records)
  assert.deepEqual(window?.rules, [{ count: 3, id: 'level:writes_only', operation: 'read', outcome: 'success' }])
  assert.equal(window.policy, records.find(({ action }) => action === 'invoice.view')?.policy)
  assert.ok(window.from <= window.to)
  await openAudit(folder).close()
  assert.equal(sumOf(sealedIn(recordsIn(folder))), 3, 'and no later opening seals it again')
})

test('a switched-off trail seals how many events it did not record', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { policy: { enabled: false } })
  for (let at = 0; at < 5; at += 1) audit.emit(write)
  await audit.close()
  assert.deepEqual(sealedIn(recordsIn(folder))[0]?.rules, [
    { count: 5, id: 'disabled', operation: 'execute', outcome: 'success' },
  ])
})

test('SIGKILL loses at most the last second of counts: the next opened seals what was found', async (t) => {
  const folder = freshFolder(t)
  const program = startTrail(
    t,
    folder,
    `for (let at = 0; at < 500; at += 1) audit.emit(read)
     console.log('emitted')
     setInterval(() => {}, 1_000)`,
  )
  await program.line('emitted')
  const spool = join(folder, 'spool')
  while (sumOf(readWindows(diskFiles, spool)) < 500) await sleep(20) // saved within a second
  await program.kill('SIGKILL')
  await openAudit(folder).close()
  const [opened] = recordsIn(folder).filter(({ epoch }) => epoch === 2)
  assert.equal(opened?.action, 'audit.stream.opened')
  assert.equal(sumOf(sealedIn([opened])), 500)
  await openAudit(folder).close()
  assert.equal(sumOf(sealedIn(recordsIn(folder))), 500)
})

test('a program that blocks its event loop while it emits is no exception', async (t) => {
  const folder = freshFolder(t)
  const program = startTrail(
    t,
    folder,
    `const { writeSync } = await import('node:fs')
     for (let at = 0; ; at += 1) {
       audit.emit(read)
       if (at === 100) writeSync(1, 'emitting\\n')
     }`,
  )
  await program.line('emitting')
  while (sumOf(readWindows(diskFiles, join(folder, 'spool'))) < 100) await sleep(20)
  await program.kill('SIGKILL')
  const saved = sumOf(readWindows(diskFiles, join(folder, 'spool')))
  await openAudit(folder).close()
  assert.equal(sumOf(sealedIn(recordsIn(folder))), saved)
})

for (const [name, end] of [
  ['process.exit', 'process.exit(0)'],
  ['an uncaught exception', 'setImmediate(() => { throw new Error("end") })'],
  ['the plain end of a program', ''],
] as const) {
  test(`${name} seals the counts`, async (t) => {
    const folder = freshFolder(t)
    const program = startTrail(t, folder, `for (let at = 0; at < 7; at += 1) audit.emit(read)\n${end}`)
    await program.ended
    assert.equal(sumOf(sealedIn(recordsIn(folder))), 7)
    await openAudit(folder).close()
    assert.equal(sumOf(sealedIn(recordsIn(folder))), 7)
  })
}

test('what is suppressed while a trail closes is sealed by the next', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { policy: { level: 'writes_only' } })
  audit.emit(read)
  const closed = audit.close()
  audit.emit(read)
  audit.emit(read)
  await closed
  await openAudit(folder).close()
  assert.deepEqual(
    sealedIn(recordsIn(folder)).map((window) => sumOf([window])),
    [1, 2],
  )
})

test('a copy of a running spool seals the counts that it was copied with, as a stream of its own', async (t) => {
  const folder = freshFolder(t)
  const program = startTrail(
    t,
    folder,
    `for (let at = 0; at < 9; at += 1) audit.emit(read)
     setInterval(() => {}, 1_000)`,
  )
  const spool = join(folder, 'spool')
  while (!diskFiles.list(folder).includes('spool') || sumOf(readWindows(diskFiles, spool)) < 9) await sleep(20)
  const copied = freshFolder(t)
  cpSync(spool, join(copied, 'spool'), { recursive: true })
  await program.kill('SIGKILL')
  await openAudit(copied).close()
  const [opened] = recordsIn(copied).filter(({ epoch }) => epoch === 2)
  assert.equal(opened?.details?.reason, 'copied')
  assert.equal(sumOf(sealedIn(recordsIn(copied))), 9)
})

test('a suppressed event is not converted: what it carries is never looked at', async (t) => {
  const audit = openAudit(freshFolder(t), { policy: { level: 'writes_only' } })
  let looks = 0
  const ownKeys = () => {
    looks += 1
    return []
  }
  const details = new Proxy({}, { ownKeys })
  assert.equal(audit.emit({ ...read, details }).status, 'suppressed')
  assert.equal(looks, 0)
  assert.equal(audit.emit({ ...write, details }).status, 'written')
  assert.ok(looks > 0)
})

test('the id that an event was drawn by is the id of its record', async (t) => {
  const folder = freshFolder(t)
  const policy = { level: 'all', sampleRate: 0.5, sampleSecret: 'a secret of this test' } as const
  const audit = openAudit(folder, { policy })
  const drawn = Array.from({ length: 200 }, () => audit.emit(write).status)
  await audit.close()
  const ids = recordsIn(folder)
    .filter(({ event_type }) => event_type === 'audit')
    .map(({ correlation_id }) => String(correlation_id))
  assert.equal(drawn.filter((status) => status === 'written').length, ids.length)
  assert.ok(ids.length > 50 && ids.length < 150)
  const again = openAudit(freshFolder(t), { policy })
  for (const correlation_id of ids) assert.equal(again.emit({ ...write, correlation_id }).status, 'written')
})

test('an id that only conversion can tell is drawn by as it stands in the record', (t) => {
  const policy = { level: 'all', sampleRate: 0.1, sampleSecret: 'a secret of this test' } as const
  const audit = openAudit(freshFolder(t), { policy })
  const statuses = Array.from({ length: 100 }, (_, id) => {
    const asText = audit.emit({ ...write, correlation_id: String(id) }).status
    assert.equal(audit.emit({ ...write, correlation_id: id as never }).status, asText)
    return asText
  })
  assert.equal(new Set(statuses).size, 2)
})
