/** Traps of the real collector, shown: what the linter says of each is true, and what no setting mends is so. */

import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createOtlpDestination } from '../src/destination/otlp.ts'
import { batchOf } from './destination/records.ts'
import { collectorAbsent, collectorBinary, collectorConfigDirectory, startCollector } from './parts/collector.ts'
import { freePort } from './parts/process.ts'
import { answer, startOtlpBackend } from './support/otlp-backend.ts'

const needed = { skip: collectorBinary() === undefined && collectorAbsent, timeout: 60_000 }

/** A backend, and a folder with a configuration of ours changed in one place. */
async function prepare(t: TestContext, name: string, change: (text: string) => string = (text) => text) {
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-trap-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const backend = await startOtlpBackend()
  t.after(() => backend.close())
  const config = join(directory, name)
  const original = readFileSync(join(collectorConfigDirectory, name), 'utf8')
  writeFileSync(config, change(original))
  const env = {
    AUDIT_COLLECTOR_BACKEND: backend.url,
    AUDIT_COLLECTOR_STORAGE: join(directory, 'storage'),
    AUDIT_COLLECTOR_FILE: join(directory, 'audit.ndjson'),
    AUDIT_COLLECTOR_LISTEN: `127.0.0.1:${await freePort()}`,
  }
  const start = async (args: readonly string[] = []) => {
    const collector = await startCollector({ config, env, dir: directory, args })
    t.after(() => collector.kill())
    return collector
  }
  /** Resolves with the next request that the backend has in hand. */
  const untilRequest = async (count: number) => {
    while (backend.requests.length < count) await delay(10)
  }
  return { backend, directory, start, untilRequest, file: env.AUDIT_COLLECTOR_FILE }
}

function connect(t: TestContext, endpoint: string) {
  const destination = createOtlpDestination({ type: 'otlp', endpoint })
  t.after(() => destination.close())
  return destination
}

/** Which sequence numbers stand in the requests from this one on. */
function arrived(requests: readonly { body: Buffer }[], from: number): number[] {
  const bodies = requests.slice(from).map(({ body }) => body.toString('latin1'))
  return bodies.flatMap((body) => [...body.matchAll(/"seq":(\d+)/g)].map((match) => Number(match[1])))
}

test('permanent-errors-dropped: one 401 drops what a queue on disk has acknowledged', needed, async (t) => {
  const { backend, start, untilRequest } = await prepare(t, 'sidecar-buffered.yaml')
  const collector = await start()
  const destination = connect(t, collector.url)
  backend.respond = answer(401)
  assert.deepEqual(await destination.send(batchOf(1, 2), t.signal), { status: 'delivered' })
  await untilRequest(1)
  backend.respond = answer(200)
  assert.deepEqual(await destination.send(batchOf(3, 4), t.signal), { status: 'delivered' })
  await untilRequest(2)
  await collector.stop()
  await (await start()).stop() // what was still in the queue would go out now
  assert.deepEqual(arrived(backend.requests, 1), [3, 4], 'the first two never come again')
})

test('queue-in-memory: SIGKILL takes what a queue without storage has acknowledged', needed, async (t) => {
  const { backend, start, untilRequest } = await prepare(t, 'sidecar-buffered.yaml', (text) =>
    text.replace(/^ +storage: file_storage.*\n/m, ''),
  )
  const first = await start()
  backend.respond = () => {} // has the request in hand, and never answers
  assert.deepEqual(await connect(t, first.url).send(batchOf(1, 2), t.signal), { status: 'delivered' })
  await untilRequest(1)
  await first.kill()
  backend.respond = answer(200)
  const second = await start()
  assert.deepEqual(await connect(t, second.url).send(batchOf(3, 4), t.signal), { status: 'delivered' })
  await untilRequest(2)
  await second.stop()
  assert.deepEqual(arrived(backend.requests, 1), [3, 4])
})

test(
  'retry-gives-up: an outage longer than max_elapsed_time drops what a queue on disk has acknowledged',
  needed,
  async (t) => {
    const { backend, directory, start, untilRequest } = await prepare(t, 'sidecar-buffered.yaml', (text) =>
      text.replace('max_interval: 30s', 'max_interval: 1s').replace('max_elapsed_time: 0', 'max_elapsed_time: 1s'),
    )
    const collector = await start()
    const destination = connect(t, collector.url)
    backend.respond = answer(503)
    assert.deepEqual(await destination.send(batchOf(1, 2), t.signal), { status: 'delivered' })
    while (!readFileSync(join(directory, 'collector.log'), 'utf8').includes('no more retries left')) await delay(10)
    const tries = backend.requests.length
    backend.respond = answer(200)
    assert.deepEqual(await destination.send(batchOf(3, 4), t.signal), { status: 'delivered' })
    await untilRequest(tries + 1)
    await collector.stop()
    assert.deepEqual(arrived(backend.requests, tries), [3, 4])
  },
)

test('queue-overflow-refuses: a full queue refuses, and a sender that repeats loses nothing', needed, async (t) => {
  const { backend, start } = await prepare(t, 'sidecar-buffered.yaml', (text) =>
    text.replace('block_on_overflow: true', 'block_on_overflow: false').replace(':-1073741824', ':-4000'),
  )
  const collector = await start()
  backend.respond = () => {} // nothing leaves the queue
  const destination = connect(t, collector.url)
  let delivery = await destination.send(batchOf(1, 2), t.signal)
  for (let sent = 1; sent < 100 && delivery.status === 'delivered'; sent += 1)
    delivery = await destination.send(batchOf(1, 2), t.signal)
  assert.equal(delivery.status, 'retry')
  assert.match(delivery.status === 'retry' ? delivery.reason : '', /queue is full/)
})

test('file-answers-early: the file exporter answers, and SIGKILL leaves an empty file', needed, async (t) => {
  const { start, file } = await prepare(t, 'sidecar-file.yaml', (text) =>
    text.replace('flush_interval: 200ms', 'flush_interval: 60s'),
  )
  const collector = await start()
  assert.deepEqual(await connect(t, collector.url).send(batchOf(1, 2), t.signal), { status: 'delivered' })
  await collector.kill()
  assert.equal(readFileSync(file, 'utf8'), '')
})

const line = (sequence: number) => `{"action":"a","seq":${sequence},"v":"1"}\n`

for (const [gate, what, expected] of [
  [[], 'a line is read, noted as read, and gone with SIGKILL', []],
  [
    ['--feature-gates=stanza.synchronousLogEmitter'],
    'with the gate a line counts as read when the backend has it',
    [1],
  ],
] as const) {
  test(`file-log-acknowledges-early: ${what}`, needed, async (t) => {
    const { backend, start, untilRequest, file } = await prepare(t, 'agent-filelog.yaml')
    writeFileSync(file, '')
    const first = await start(gate)
    backend.respond = answer(503)
    appendFileSync(file, line(1))
    await untilRequest(2) // it has been refused and is tried again; polls went by meanwhile
    await first.kill()
    const before = backend.requests.length
    backend.respond = answer(200)
    appendFileSync(file, line(2))
    await start(gate)
    while (!arrived(backend.requests, before).includes(2)) await delay(10)
    assert.deepEqual(arrived(backend.requests, before), [...expected, 2])
  })
}

test('permanent-errors-dropped: one 401 drops the lines that an agent has read', needed, async (t) => {
  const { backend, start, untilRequest, file } = await prepare(t, 'agent-filelog.yaml')
  writeFileSync(file, '')
  await start(['--feature-gates=stanza.synchronousLogEmitter'])
  backend.respond = answer(401)
  appendFileSync(file, line(1))
  await untilRequest(1)
  backend.respond = answer(200)
  appendFileSync(file, line(2))
  while (!arrived(backend.requests, 1).includes(2)) await delay(10)
  assert.deepEqual(arrived(backend.requests, 1), [2])
})
