/** How the settings of the buffer act: `AUDIT_TRAIL_BUFFER_*`, through to the batches that a database gets. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { readOptionsAndEnvironment } from '../../src/audit/read-config.ts'
import { Forwarder } from '../../src/forward/forwarder.ts'
import { FakePace } from '../support/pace.ts'
import { ArraySource, delivered, makeRecords, retry, ScriptedDestination } from './fakes.ts'

/** A forwarder with the settings that a database has by these variables. */
function start(t: TestContext, environment: Record<string, string>, destination = new ScriptedDestination()) {
  const postgres = 'postgres://127.0.0.1/audit'
  const { destinations } = readOptionsAndEnvironment(
    {},
    { AUDIT_LOG_DESTINATION: 'postgres', AUDIT_POSTGRES_URL: postgres, ...environment },
  )
  const [options] = destinations
  assert.equal(options?.type, 'postgres')
  const [source, pace] = [new ArraySource(), new FakePace()]
  const forwarder = new Forwarder({ source, destination, pace, options })
  const stopping = new AbortController()
  const running = forwarder.run(stopping.signal)
  t.after(() => {
    stopping.abort()
    return running
  })
  return { source, pace, forwarder, sizes: () => destination.sent.map(({ length }) => length) }
}

/** Lets the time pass in steps of a second, each once the forwarder waits again. */
async function pass(pace: FakePace, source: ArraySource, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    await source.untilWaitedFor()
    pace.advance(1_000)
    for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate)
  }
}

test('AUDIT_TRAIL_BUFFER_FLUSH_INTERVAL: 50 events in 10 s become one batch after 30 s', async (t) => {
  const { source, pace, sizes } = start(t, {})
  for (let second = 0; second < 10; second += 1) {
    source.append(makeRecords(second * 5 + 1, second * 5 + 5))
    await pass(pace, source, 1)
  }
  await pass(pace, source, 19)
  assert.deepEqual(sizes(), [], 'nothing after 29 s')
  await pass(pace, source, 2)
  assert.deepEqual(sizes(), [50])
})

test('AUDIT_TRAIL_BUFFER_MAX_SIZE: reaching 500 really flushes', async (t) => {
  const { source, sizes } = start(t, {})
  source.append(makeRecords(1, 499))
  await source.untilWaitedFor()
  assert.deepEqual(sizes(), [])
  source.append(makeRecords(500, 500))
  await source.untilConfirmed(500)
  assert.deepEqual(sizes(), [500])
})

test('a failed flush keeps its records, and the counter counts what was acknowledged', async (t) => {
  const destination = new ScriptedDestination(retry, retry, delivered)
  const { source, pace, forwarder, sizes } = start(t, {}, destination)
  source.append(makeRecords(1, 500))
  for (let tries = 0; tries < 2; tries += 1) {
    const pauseMs = await pace.untilAsleep()
    assert.deepEqual([forwarder.state().delivered, forwarder.state().backlog], [0, 500])
    pace.advance(pauseMs)
  }
  await source.untilConfirmed(500)
  assert.deepEqual([sizes(), forwarder.state().delivered], [[500, 500, 500], 500])
})

test('AUDIT_TRAIL_BUFFER_ENABLED=false: sent at once, unbatched', async (t) => {
  const { source, sizes } = start(t, { AUDIT_TRAIL_BUFFER_ENABLED: 'false' })
  source.append(makeRecords(1, 3))
  await source.untilConfirmed(3)
  assert.deepEqual(sizes(), [1, 1, 1])
})

test('a waiter does not wait for the interval', async (t) => {
  const { source, forwarder, sizes } = start(t, {})
  source.append(makeRecords(1, 2))
  await source.untilWaitedFor()
  await forwarder.flush()
  assert.deepEqual(sizes(), [2])
})
