/** How a process ends, and what is left of its trail then: real processes, ended in every way there is. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { diskFiles } from '../../src/spool/files.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { type Program, startProgram } from '../support/program.ts'
import { eventsIn, freshFolder, openAudit, recordsIn } from './opened.ts'

/** The source text of an opened trail whose destination is down. */
function opening(folder: string): string {
  return `const audit = createAudit({ spool: { directory: ${JSON.stringify(join(folder, 'spool'))} },
    policy: { level: 'all' }, destinations: [{ type: 'otlp', endpoint: 'http://127.0.0.1:9' }], closeTimeoutMs: 300 })
  const emit = (count) => { for (let at = 0; at < count; at += 1) audit.emit({ action: 'a' + at }) }\n`
}

function runProgram(t: TestContext, folder: string, body: string): Program {
  return startProgram(t, opening(folder) + body)
}

/** How far a dead spool is known to be durable, and how far it is written. */
function endsOf(folder: string): { durable: number; written: number | undefined; clean: boolean } {
  const { durable, state, records } = viewSpool(diskFiles, join(folder, 'spool'))
  return { durable: durable.nextSequence - 1, written: [...records()].at(-1)?.sequence, clean: state.clean }
}

/** Opens the trail again, as the next start does, and closes it. */
async function actionsAfterRestart(folder: string): Promise<string[]> {
  await openAudit(folder).close()
  return eventsIn(folder).map((record) => record.action)
}

/** How the trail ended before its last opening, in the words of that opening. */
function lastPreviousEnd(folder: string): unknown {
  return recordsIn(folder).findLast((record) => record.event_type === 'audit.stream.opened')?.details?.previous_end
}

const actions = (count: number) => Array.from({ length: count }, (_, at) => `a${at}`)

const endings = [
  ['plain end of the script', '', 0],
  ['process.exit', 'process.exit(3)', 3],
  ['process.exit in a timer', 'setTimeout(() => process.exit(3), 1)', 3],
  ['an uncaught exception', 'throw new Error("boom")', 1],
  ['an exception in a callback', 'setImmediate(() => { throw new Error("boom") })', 1],
  ['a rejection that nobody handles', 'Promise.reject(new Error("boom"))', 1],
] as const

for (const [name, body, code] of endings) {
  test(`${name}: the program ends by itself, what was emitted is durable, and nothing is called closed`, async (t) => {
    const folder = freshFolder(t)
    const program = runProgram(t, folder, `emit(200)\n${body}`)
    assert.equal((await program.ended).code, code, program.complaints)
    const { durable, written, clean } = endsOf(folder)
    assert.equal(durable, written)
    assert.equal(clean, false)
    assert.deepEqual(await actionsAfterRestart(folder), actions(200))
    assert.equal(lastPreviousEnd(folder), 'crash')
  })
}

test('SIGTERM without a handler ends the process at once, and what was emitted is in the spool', async (t) => {
  const folder = freshFolder(t)
  const program = runProgram(t, folder, `emit(200)\nconsole.log('ready')\nsetInterval(() => {}, 1_000)`)
  await program.line('ready')
  assert.equal((await program.kill('SIGTERM')).signal, 'SIGTERM')
  assert.deepEqual(await actionsAfterRestart(folder), actions(200))
  assert.equal(lastPreviousEnd(folder), 'crash')
})

test('an application that closes on SIGTERM leaves a clean end', async (t) => {
  const folder = freshFolder(t)
  const program = runProgram(
    t,
    folder,
    `process.on('SIGTERM', async () => { await audit.close(); process.exit(0) })
     emit(200)\nconsole.log('ready')\nsetInterval(() => {}, 1_000)`,
  )
  await program.line('ready')
  assert.equal((await program.kill('SIGTERM')).code, 0, program.complaints)
  assert.equal(endsOf(folder).clean, true)
  assert.deepEqual(await actionsAfterRestart(folder), actions(200))
  assert.equal(lastPreviousEnd(folder), 'clean')
})

test('a program that awaits durability ends with exit code 0 and not before', async (t) => {
  const program = runProgram(
    t,
    freshFolder(t),
    `const receipt = audit.emit({ action: 'a' })\nawait receipt.durable\nconsole.log('durable', audit.state.durable >= receipt.sequence)`,
  )
  assert.equal((await program.ended).code, 0, program.complaints)
  assert.equal(await program.line('durable'), 'true')
})

test('one listener of the process serves every trail and goes with the last of them', async (t) => {
  const folder = freshFolder(t)
  const before = process.listenerCount('exit')
  const audits = ['a', 'b', 'c'].map((name) => openAudit(folder, { spool: { directory: join(folder, name) } }))
  assert.equal(process.listenerCount('exit'), before + 1)
  await Promise.all(audits.slice(1).map((audit) => audit.close()))
  assert.equal(process.listenerCount('exit'), before + 1)
  await audits[0]?.close()
  assert.equal(process.listenerCount('exit'), before)
})

test('a program with several trails that never closes any has all of them durable', async (t) => {
  const folder = freshFolder(t)
  const program = startProgram(
    t,
    `for (const name of ['a', 'b', 'c']) {
       const audit = createAudit({ spool: { directory: ${JSON.stringify(folder)} + '/' + name + '/spool' }, policy: { level: 'all' } })
       for (let at = 0; at < 100; at += 1) audit.emit({ action: 'a' + at })
     }`,
  )
  assert.equal((await program.ended).code, 0, program.complaints)
  for (const name of ['a', 'b', 'c']) {
    const { durable, written } = endsOf(join(folder, name))
    assert.equal(durable, written)
    assert.equal(written, 101)
  }
})

test('after close an event goes to standard error as one line, and its receipt says so', async (t) => {
  const program = runProgram(
    t,
    freshFolder(t),
    `await audit.close()
     const receipt = audit.emit({ action: 'late', details: { password: 'geheim' } })
     console.log(receipt.status, audit.state.emergencies, await receipt.durable.catch((error) => error.code))`,
  )
  assert.equal(await program.line('emergency'), '1 CLOSED')
  await program.ended
  const line = program.complaints.split('\n').find((one) => one.startsWith('{')) ?? ''
  const record = JSON.parse(line) as Record<string, unknown>
  assert.deepEqual(
    [record.action, record.details, record.emergency],
    ['late', { password: '[REDACTED]' }, 'audit is closed'],
  )
  for (const member of ['stream', 'seq', 'prev']) assert.ok(!(member in record), member)
})

test('an emergency receipt that nobody looks at does not end the process', async (t) => {
  const program = runProgram(
    t,
    freshFolder(t),
    `await audit.close()\naudit.emit({ action: 'late' }).durable\nsetTimeout(() => console.log('alive'), 50)`,
  )
  await program.line('alive')
})
