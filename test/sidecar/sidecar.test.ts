/** What an application and its operator see of a sidecar: waiting, state, recovery, slots, facts. */

import assert from 'node:assert/strict'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCli } from '../cli/run.ts'
import { delivering, eventsOf, Fleet, type RecordJson, recordsOf, until } from './fleet.ts'

const hour = 3_600_000
const timeout = 120_000

interface StateJson {
  readonly name: string
  readonly condition: string
  readonly backlog?: number
  readonly confirmed?: { readonly stream: string; readonly sequence: number }
}

const oneFile = (folder: string, flushIntervalMs = 20) => ({
  destinations: [{ type: 'file' as const, path: join(folder, 'trail.ndjson'), flushIntervalMs }],
})

/** Puts another record in the place of the last event, and takes the cursor away: the file contradicts the spool. */
function forge({ spool }: Fleet, path: string): RecordJson {
  const records = recordsOf(path)
  const at = records.findLastIndex(({ event_type }) => event_type === 'audit')
  const forged = { ...records[at], action: 'app.forged' } as RecordJson
  const lines = records.with(at, forged).map((record) => `${JSON.stringify(record)}\n`)
  writeFileSync(path, lines.join(''))
  rmSync(join(spool, 'cursor-file'))
  return forged
}

test('flush and emitRequired wait for the sidecar, which sends at once when it is asked', { timeout }, async (t) => {
  const fleet = new Fleet(t, (folder) => oneFile(folder, hour))
  const path = join(fleet.folder, 'trail.ndjson')
  const sidecar = fleet.sidecar()
  const application = fleet.application({}, 'quiet')
  await delivering(sidecar)
  application.say('require file')
  assert.equal(await application.line('required'), 'written')
  const required = recordsOf(path).find(({ action }) => action === 'app.required')
  assert.ok(required !== undefined, 'it is there')
  application.say('flush')
  const [state] = JSON.parse(await application.line('done flush')) as StateJson[]
  assert.deepEqual([state?.name, state?.condition, state?.backlog], ['file', 'elsewhere', 0])
  const confirmed = state?.confirmed?.sequence ?? 0
  assert.ok(required.seq <= confirmed && confirmed <= recordsOf(path).length)
  application.say('close')
  assert.equal((await application.ended).code, 0)
  const types = recordsOf(path).map(({ event_type }) => event_type)
  assert.ok(types.includes('audit.stream.closed'), 'close waits too')
  assert.equal((await sidecar.kill('SIGTERM')).code, 0)
  assert.equal(eventsOf(sidecar, 'ended')[0]?.isDrained, true)
})

test('without a sidecar close gives up at its deadline, and the next sidecar delivers', { timeout }, async (t) => {
  const fleet = new Fleet(t, (folder) => ({ ...oneFile(folder), closeTimeoutMs: 200 }))
  const application = fleet.application()
  await application.line('written')
  application.say('close')
  assert.equal((await application.ended).code, 0)
  const path = join(fleet.folder, 'trail.ndjson')
  assert.equal(existsSync(path), false, 'the application delivers nothing')
  await fleet.drain()
  const filed = new Set(recordsOf(path).map(({ id }) => id))
  assert.deepEqual(
    application.all('written').filter((id) => !filed.has(id)),
    [],
  )
})

test('it recovers the spool of an application that was killed, and goes on beside it when it comes back', {
  timeout,
}, async (t) => {
  const fleet = new Fleet(t, oneFile)
  const path = join(fleet.folder, 'trail.ndjson')
  fleet.sidecar()
  const first = fleet.application()
  await first.line('written')
  await first.kill('SIGKILL')
  const written = first.all('written')
  const hasAll = (ids: readonly string[]) => {
    const filed = new Set(existsSync(path) ? recordsOf(path).map(({ id }) => id) : [])
    return ids.every((id) => filed.has(id))
  }
  await until(() => hasAll(written), 'what was written is delivered')
  const second = fleet.application()
  await second.line('written')
  second.say('quiet')
  second.say('flush')
  await second.line('done flush')
  assert.ok(hasAll(second.all('written')))
  const streams = new Set(recordsOf(path).map(({ stream }) => stream))
  assert.equal(streams.size, 1, 'recovery by a sidecar does not end the stream')
})

test('it forwards every slot, also those that appear later and those whose process is gone', { timeout }, async (t) => {
  const fleet = new Fleet(t, (folder) => ({
    spool: { instances: 'slots' },
    destinations: [{ type: 'file', path: join(folder, '{slot}.ndjson'), flushIntervalMs: 20 }],
  }))
  const sidecar = fleet.sidecar()
  const applications = [fleet.application(), fleet.application()]
  await Promise.all(applications.map((one) => one.line('written')))
  await applications[0]?.kill('SIGKILL')
  const third = fleet.application()
  await third.line('written')
  await Promise.all([applications[1], third].map((one) => one?.kill('SIGKILL')))
  const written = [...applications, third].flatMap((one) => one.all('written'))
  const filed = () => {
    const files = ['0001', '0002', '0003'].map((slot) => join(fleet.folder, `${slot}.ndjson`)).filter(existsSync)
    return new Set(files.flatMap(recordsOf).map(({ id }) => id))
  }
  await until(() => {
    const ids = filed()
    return written.every((id) => ids.has(id))
  }, 'what was written to every slot is delivered')
  assert.ok(eventsOf(sidecar, 'delivering').length >= 2)
})

test('what a destination refuses for ever is sealed in the operations stream and delivered beside', {
  timeout,
}, async (t) => {
  const fleet = new Fleet(t, oneFile)
  const path = join(fleet.folder, 'trail.ndjson')
  const application = fleet.application({ closeTimeoutMs: 100 })
  await application.line('written')
  await application.kill('SIGKILL')
  await fleet.drain()
  const forged = forge(fleet, path)
  await fleet.drain()

  const facts = recordsOf(join(fleet.folder, 'trail.operations.ndjson'))
  const [fact] = facts.filter(({ event_type }) => event_type === 'audit.quarantined')
  const { destination, stream, seq } = fact?.details ?? {}
  assert.deepEqual([destination, stream, seq], ['file', forged.stream, forged.seq])
  assert.notEqual(fact?.stream, stream, 'it is another stream')
  for (const word of ['status', 'check']) {
    for (const spool of [fleet.spool, join(fleet.spool, 'operations')]) {
      const { exitCode, stdout, stderr } = await runCli(['spool', word, spool])
      assert.equal(exitCode, 0, `${word} ${spool}: ${stdout}${stderr}`)
    }
  }
  const operations = join(fleet.spool, 'operations')
  const { stdout, exitCode } = await runCli(['verify', fleet.spool, operations, '--allow-unanchored', '--json'])
  assert.equal(exitCode, 0, stdout)
})

test('an application whose stream a destination contradicts begins a new one, told by the quarantine', {
  timeout,
}, async (t) => {
  const fleet = new Fleet(t, oneFile)
  const path = join(fleet.folder, 'trail.ndjson')
  const first = fleet.application()
  await first.line('written')
  await first.kill('SIGKILL')
  const application = fleet.application({}, 'quiet')
  await application.line('opened')
  const sidecar = fleet.sidecar()
  await delivering(sidecar)
  application.say('flush')
  await application.line('done flush')
  await sidecar.kill('SIGKILL')
  forge(fleet, path)
  fleet.sidecar()
  await until(() => application.complaints.includes('A new stream begins'), 'a new stream')
  // What is sealed before the stream is there goes into the old one, and is refused: said, and not waited for in vain.
  for (let asked = 1; application.all('required').length === 0; asked += 1) {
    application.say('require file')
    await until(() => application.all('required').length + application.all('failed').length === asked, 'an answer')
    assert.ok(asked < 10)
  }
  for (const failure of application.all('failed')) assert.match(failure, /holds another record in the place/)
  const streams = new Set(recordsOf(path).map(({ stream }) => stream))
  assert.equal(streams.size, 2)
})
