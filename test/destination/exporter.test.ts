import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Delivery } from '../../src/destination/destination.ts'
import { createExporterDestination } from '../../src/destination/exporter.ts'
import { checkModule } from '../../src/destination/optional-module.ts'
import type { ExporterDestinationOptions } from '../../src/destination/options.ts'
import { Forwarder } from '../../src/forward/forwarder.ts'
import type { SetAsideRun } from '../../src/forward/quarantine.ts'
import { ArraySource } from '../forward/fakes.ts'
import { startOtlpBackend } from '../support/otlp-backend.ts'
import { FakePace } from '../support/pace.ts'
import { exported } from './exporter-module.ts'
import { batchOf } from './records.ts'

const module = join(import.meta.dirname, 'exporter-module.ts')

async function connect(t: TestContext, options: Partial<ExporterDestinationOptions> = {}) {
  exported.length = 0
  const destination = await createExporterDestination({ type: 'exporter', module, ...options })
  t.after(() => destination.close())
  return destination
}

for (const name of [undefined, 'createExporter', 'FakeExporter', 'instance']) {
  test(`an exporter is made by a function, a class, or is there already (${name ?? 'by default'})`, async (t) => {
    const destination = await connect(t, { export: name })
    assert.deepEqual(await destination.send(batchOf(1, 3), t.signal), { status: 'delivered' })
    assert.deepEqual(
      exported.map(({ body }) => body),
      batchOf(1, 3).records.map(({ bytes }) => bytes.toString()),
    )
    assert.equal(exported[0]?.attributes['audit.sequence.number'], 1)
    assert.equal(exported[0]?.resource.attributes['service.name'], 'billing')
  })
}

test('a failure, a throw and no answer are tried again, with their reason', async (t) => {
  const destination = await connect(t, { timeoutMs: 50, options: { results: ['failure', 'throws', 'silence'] } })
  const deliveries: Delivery[] = []
  for (let round = 0; round < 4; round++) deliveries.push(await destination.send(batchOf(1, 2), t.signal))
  assert.deepEqual(deliveries, [
    { status: 'retry', reason: `${module}: the back end said no` },
    { status: 'retry', reason: `${module}: thrown at once` },
    { status: 'retry', reason: `${module}: no answer within 50 ms` },
    { status: 'delivered' },
  ])
  assert.equal(exported.length, 2)
})

test('a sending that is stopped waits for nobody', async (t) => {
  const destination = await connect(t, { options: { results: ['silence'] } })
  const stopping = new AbortController()
  const sending = destination.send(batchOf(1, 1), stopping.signal)
  stopping.abort()
  assert.deepEqual(await sending, { status: 'retry', reason: 'stopped' })
})

test("OpenTelemetry's own exporter is one, found by the name of its package", async (t) => {
  const backend = await startOtlpBackend()
  t.after(() => backend.close())
  const destination = await connect(t, {
    module: '@opentelemetry/exporter-logs-otlp-http',
    export: 'OTLPLogExporter',
    options: { url: `${backend.url}/v1/logs` },
  })
  assert.deepEqual(await destination.send(batchOf(1, 3), t.signal), { status: 'delivered' })
  const [request] = backend.requests
  assert.ok(request)
  const text = JSON.stringify(JSON.parse(request.body.toString()))
  for (const { bytes } of batchOf(1, 3).records) assert.ok(text.includes(JSON.stringify(bytes.toString())))
})

test('an export that makes no exporter is refused by its name', async () => {
  for (const name of ['wrong', 'absent', 'exported'])
    await assert.rejects(createExporterDestination({ type: 'exporter', module, export: name }), {
      code: 'INVALID_OPTION',
      setting: 'destinations.exporter.export',
      message: `${name} of ${module} makes no LogRecordExporter`,
    })
})

test('a module that is not there is known before anything starts', async () => {
  for (const name of ['./absent.js', '/absent/exporter.js', 'no-such-package-anywhere', 'file:///absent.js']) {
    const options = { type: 'exporter', module: name } as const
    const expected = { code: 'MODULE_NOT_FOUND', message: `there is no module ${name}` }
    assert.throws(() => checkModule(options), expected)
    await assert.rejects(createExporterDestination(options), expected)
  }
  for (const name of [module, './package.json', 'zod', '@opentelemetry/sdk-logs'])
    assert.doesNotThrow(() => checkModule({ type: 'exporter', module: name }))
})

test('a peer that is installed is found', () => {
  assert.doesNotThrow(() => checkModule({ type: 's3', bucket: 'audit' }))
})

test('an error that says 400, 413, 422 or INVALID_ARGUMENT refuses the batch; any other is tried again', async (t) => {
  for (const code of [400, 413, 422, 3, 401, 429, 500, 503, 14]) {
    const destination = await connect(t, { options: { refuses: { word: 'r', code } } })
    const { status } = await destination.send(batchOf(1, 2), t.signal)
    assert.equal(status, [400, 413, 422, 3].includes(code) ? 'rejected' : 'retry', String(code))
  }
})

test("what OpenTelemetry's own exporter was answered decides in the same way", async (t) => {
  const backend = await startOtlpBackend()
  t.after(() => backend.close())
  const options = { module: '@opentelemetry/exporter-logs-otlp-http', export: 'OTLPLogExporter' }
  const destination = await connect(t, { ...options, options: { url: `${backend.url}/v1/logs` } })
  for (const [status, expected] of [
    [400, 'rejected'],
    [413, 'rejected'],
    [401, 'retry'],
    [200, 'delivered'],
  ] as const) {
    backend.respond = (response) => response.writeHead(status).end('{}')
    assert.equal((await destination.send(batchOf(1, 2), t.signal)).status, expected, String(status))
  }
})

test('a record at which an exporter reports 400 is found by halving and set aside, and one without a code is not', {
  timeout: 20_000,
}, async (t) => {
  const { records } = batchOf(1, 40)
  const word = records[22]?.bytes.toString() ?? ''
  const run = async (code: number) => {
    const destination = await connect(t, { options: { refuses: { word, code } } })
    const aside: number[] = []
    const quarantine = {
      follows: () => false,
      setAside: async (found: SetAsideRun) => {
        aside.push(...found.records.map(({ sequence }) => sequence))
        return undefined
      },
    }
    const source = new ArraySource(records)
    const stopping = new AbortController()
    const pace = new FakePace()
    const forwarder = new Forwarder({ destination, source, quarantine, pace, options: { batchRecordsMax: 40 } })
    const running = forwarder.run(stopping.signal)
    const stop = () => {
      stopping.abort()
      return running
    }
    return { aside, source, pace, stop }
  }
  const refusing = await run(400)
  await refusing.source.untilConfirmed(40)
  await refusing.stop()
  assert.deepEqual(refusing.aside, [23])
  const failing = await run(500)
  for (let pause = 0; pause < 30; pause += 1) failing.pace.advance(Math.ceil(await failing.pace.untilAsleep()))
  await failing.stop()
  assert.deepEqual(failing.aside, [])
})
