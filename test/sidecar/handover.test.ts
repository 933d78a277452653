/** Delivery goes from one process to another: always one of them, and each goes on where the other was. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { AuditOptions } from '../../src/index.ts'
import { recordsAt } from '../support/delivered.ts'
import { answer, type OtlpBackend, type ReceivedRequest, startOtlpBackend } from '../support/otlp-backend.ts'
import { delivering, eventsOf, Fleet, type RecordJson, until } from './fleet.ts'

const answerMs = 30

/** A backend that takes its time, and knows who sends. */
class Watched {
  readonly backend: OtlpBackend
  /** Who has sent, in the order of arrival; the same one in a row once. */
  readonly turns: string[] = []
  readonly #underWay = new Map<string, number>()
  readonly overlaps: string[] = []

  constructor(backend: OtlpBackend) {
    this.backend = backend
    backend.respond = (response, request) => {
      const sender = senderOf(request)
      if (this.turns.at(-1) !== sender) this.turns.push(sender)
      this.#count(sender, 1)
      const others = [...this.#underWay].filter(([name, count]) => name !== sender && count > 0)
      this.overlaps.push(...others.map(([name]) => `${sender} while ${name}`))
      response.once('close', () => this.#count(sender, -1))
      setTimeout(() => answer(200)(response, request), answerMs)
    }
  }

  #count(sender: string, by: number): void {
    this.#underWay.set(sender, (this.#underWay.get(sender) ?? 0) + by)
  }

  destinationOf(sender: string): AuditOptions['destinations'] {
    const headers = { 'x-sender': sender }
    return [{ type: 'otlp', endpoint: this.backend.url, protocol: 'http/json', flushIntervalMs: 20, headers }]
  }

  ids(): Set<string> {
    return new Set(recordsAt(this.backend).map((record) => (JSON.parse(record) as RecordJson).id))
  }
}

function senderOf({ headers }: ReceivedRequest): string {
  return String(headers['x-sender'])
}

async function watched(t: TestContext): Promise<Watched> {
  const backend = await startOtlpBackend()
  t.after(() => backend.close())
  return new Watched(backend)
}

test('thread to sidecar to thread: each waits for the other, both never send at once, and nothing is lost', {
  timeout: 120_000,
}, async (t) => {
  const seen = await watched(t)
  const fleet = new Fleet(t, () => ({ delivery: 'thread', destinations: seen.destinationOf('thread') }))
  const changes = { destinations: seen.destinationOf('sidecar'), closeTimeoutMs: 300 }

  const first = fleet.application()
  await until(() => seen.turns.includes('thread'), 'the thread sends')
  const sidecar = fleet.sidecarWith(changes)
  await sidecar.line('{"event":"waiting"')
  assert.equal(eventsOf(sidecar, 'waiting')[0]?.holder, String(first.pid))
  await first.kill('SIGKILL')
  await delivering(sidecar)
  await until(() => seen.turns.includes('sidecar'), 'the sidecar sends')

  const second = fleet.application()
  await second.line('written')
  await until(() => second.complaints.includes('delivers this spool'), 'the thread says that it waits')
  assert.match(second.complaints, new RegExp(`process ${sidecar.pid} delivers this spool`))
  second.say('require otlp')
  assert.equal(await second.line('required'), 'written', 'a waiting thread knows by the cursor')
  assert.deepEqual(seen.turns, ['thread', 'sidecar'])

  assert.equal((await sidecar.kill('SIGTERM')).code, 0)
  await until(() => seen.turns.length === 3, 'the thread sends again')
  assert.match(second.complaints, /the spool is delivered from here again/)
  second.say('quiet')
  second.say('flush')
  await second.line('done flush')
  assert.deepEqual(seen.turns, ['thread', 'sidecar', 'thread'])
  assert.deepEqual(seen.overlaps, [])
  const ids = seen.ids()
  const lost = [...first.all('written'), ...second.all('written')].filter((id) => !ids.has(id))
  assert.deepEqual(lost, [])
})

test('of two sidecars one delivers, and the other takes over when it is killed', { timeout: 120_000 }, async (t) => {
  const seen = await watched(t)
  const fleet = new Fleet(t, () => ({ destinations: seen.destinationOf('one') }))
  const application = fleet.application()
  await application.line('written')
  const one = fleet.sidecar()
  await delivering(one)
  const other = fleet.sidecarWith({ destinations: seen.destinationOf('other') })
  await other.line('{"event":"waiting"')
  await until(() => seen.turns.includes('one'), 'the first one sends')
  await one.kill('SIGKILL')
  await delivering(other)
  application.say('quiet')
  application.say('flush')
  await application.line('done flush')
  assert.deepEqual(seen.turns, ['one', 'other'])
  assert.deepEqual(seen.overlaps, [])
  const ids = seen.ids()
  assert.deepEqual(
    application.all('written').filter((id) => !ids.has(id)),
    [],
  )
})
