import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Delivery } from '../../src/destination/destination.ts'
import type { OtlpDestinationOptions } from '../../src/destination/options.ts'
import { createOtlpDestination } from '../../src/destination/otlp.ts'
import { Forwarder } from '../../src/forward/forwarder.ts'
import { ArraySource } from '../forward/fakes.ts'
import { type CollectorOptions, collectorAbsent, collectorBinary, startCollector } from '../parts/collector.ts'
import { freePort } from '../parts/process.ts'
import { answer, type OtlpBackend, startOtlpBackend } from '../support/otlp-backend.ts'
import { batchOf } from './records.ts'

const needed = { skip: collectorBinary() === undefined && collectorAbsent }

function makeDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-collector-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function start(t: TestContext, options: Omit<CollectorOptions, 'dir'>) {
  const collector = await startCollector({ dir: makeDirectory(t), ...options })
  t.after(() => collector.kill())
  return collector
}

async function startBackend(t: TestContext): Promise<OtlpBackend> {
  const backend = await startOtlpBackend()
  t.after(() => backend.close())
  return backend
}

function connect(t: TestContext, options: Omit<OtlpDestinationOptions, 'type'>) {
  const destination = createOtlpDestination({ type: 'otlp', ...options })
  t.after(() => destination.close())
  return destination
}

const encodings = [
  { protocol: 'http/protobuf', compression: 'none' },
  { protocol: 'http/protobuf', compression: 'gzip' },
  { protocol: 'http/json', compression: 'gzip' },
] as const

for (const { protocol, compression } of encodings) {
  test(
    `the collector's file holds every record verbatim and in order (${protocol}, ${compression})`,
    needed,
    async (t) => {
      const directory = makeDirectory(t)
      const file = join(directory, 'collector.jsonl')
      const collector = await startCollector({
        config: 'sidecar-file.yaml',
        env: { AUDIT_COLLECTOR_FILE: file },
        dir: directory,
      })
      t.after(() => collector.kill())
      const destination = connect(t, { endpoint: collector.url, protocol, compression })
      for (const batch of [batchOf(1, 500), batchOf(501, 1_000)]) {
        assert.deepEqual(await destination.send(batch, t.signal), { status: 'delivered' })
      }
      await collector.stop()
      const bodies = readFileSync(file, 'utf8').trimEnd().split('\n').flatMap(bodiesOf)
      assert.deepEqual(
        bodies,
        batchOf(1, 1_000).records.map((record) => record.bytes.toString()),
      )
    },
  )
}

test('a pass-through sidecar answers what its backend answers', needed, async (t) => {
  const backend = await startBackend(t)
  const sidecar = await start(t, { config: 'sidecar.yaml', env: { AUDIT_COLLECTOR_BACKEND: backend.url } })
  const destination = connect(t, { endpoint: sidecar.url })
  const heard: [number, Delivery['status']][] = []
  for (const status of [200, 400, 401, 429, 503, 413, 500]) {
    backend.respond = answer(status)
    heard.push([status, (await destination.send(batchOf(1, 2), t.signal)).status])
  }
  assert.deepEqual(heard, [
    [200, 'delivered'],
    [400, 'rejected'],
    [401, 'retry'],
    [429, 'retry'],
    [503, 'retry'],
    [413, 'retry'], // the sidecar makes a 500 of it: the forwarder halves what fails again and again
    [500, 'retry'],
  ])
  assert.equal(backend.requests.length, 7, 'neither of the two repeats by itself')
})

test('a sidecar without a backend delivers nothing', needed, async (t) => {
  const backend = `http://127.0.0.1:${await freePort()}`
  const sidecar = await start(t, { config: 'sidecar.yaml', env: { AUDIT_COLLECTOR_BACKEND: backend } })
  const delivery = await connect(t, { endpoint: sidecar.url }).send(batchOf(1, 2), t.signal)
  assert.equal(delivery.status, 'retry')
})

test(
  'a collector that is killed and comes back loses nothing, and repeats no more than was on its way',
  needed,
  async (t) => {
    const backend = await startBackend(t)
    const options = {
      config: 'sidecar.yaml',
      env: { AUDIT_COLLECTOR_BACKEND: backend.url, AUDIT_COLLECTOR_LISTEN: `127.0.0.1:${await freePort()}` },
    }
    const first = await start(t, options)
    // Killed with a request on its way: the backend has it, and nobody hears that it does.
    backend.respond = (response, request) => {
      if (backend.requests.length === 4) void first.kill()
      else answer(200)(response, request)
    }
    const source = new ArraySource(batchOf(1, 1_000).records)
    const failed = Promise.withResolvers<void>()
    const forwarder = new Forwarder({
      source,
      destination: connect(t, { endpoint: first.url }),
      options: { batchRecordsMax: 100 },
      onStateChange: () => failed.resolve(),
    })
    const stopping = new AbortController()
    const running = forwarder.run(stopping.signal)
    t.after(() => stopping.abort())
    await failed.promise
    const confirmed = source.confirmed.at(-1) ?? 0
    assert.ok(confirmed === 200 || confirmed === 300, `${confirmed} of what two requests at a time had reached`)
    await start(t, options)
    await forwarder.flush()
    stopping.abort()
    await running
    const arrived = backend.requests.flatMap(({ body }) => sequencesOf(body))
    assert.deepEqual(
      [...new Set(arrived)].sort((a, b) => a - b),
      batchOf(1, 1_000).records.map((record) => record.sequence),
    )
    assert.ok(
      arrived.length > 1_000 && arrived.length <= 1_200,
      `${arrived.length} arrived: what nobody confirmed twice`,
    )
  },
)

test('stop ends the collector, and a second stop finds nothing to do', needed, async (t) => {
  const collector = await start(t, {
    config: 'sidecar-file.yaml',
    env: { AUDIT_COLLECTOR_FILE: join(makeDirectory(t), 'f') },
  })
  process.kill(collector.pid, 0)
  await collector.stop()
  assert.throws(() => process.kill(collector.pid, 0), { code: 'ESRCH' })
  await collector.stop()
})

test('a collector that cannot start says why', needed, async (t) => {
  await assert.rejects(start(t, { config: 'sidecar.yaml' }), /did not start.*at least one endpoint must be specified/s)
})

function bodiesOf(line: string): string[] {
  const { resourceLogs } = JSON.parse(line) as {
    resourceLogs: { scopeLogs: { logRecords: { body: { stringValue: string } }[] }[] }[]
  }
  return resourceLogs.flatMap(({ scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) => logRecords.map(({ body }) => body.stringValue)),
  )
}

/** The sequence numbers in a protobuf request, whose bodies are the sealed texts. */
function sequencesOf(request: Buffer): number[] {
  return [...request.toString('latin1').matchAll(/"seq":(\d+)/g)].map((match) => Number(match[1]))
}
