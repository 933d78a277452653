import assert from 'node:assert/strict'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getActiveResourcesInfo } from 'node:process'
import { type TestContext, test } from 'node:test'
import type { Delivery } from '../../src/destination/destination.ts'
import type { OtlpDestinationOptions } from '../../src/destination/options.ts'
import { createOtlpDestination } from '../../src/destination/otlp.ts'
import { freePort } from '../parts/process.ts'
import { makeAuthority } from '../support/authority.ts'
import { startHttpReceiver } from '../support/http-receiver.ts'
import { answer, type OtlpBackend, type Respond, startOtlpBackend } from '../support/otlp-backend.ts'
import { batchOf, makeBatch, makeRecord } from './records.ts'

const protobuf = { 'Content-Type': 'application/x-protobuf' }
const json = { 'Content-Type': 'application/json; charset=utf-8' }

async function start(t: TestContext, respond?: Respond): Promise<OtlpBackend> {
  const backend = await startOtlpBackend(respond)
  t.after(() => backend.close())
  return backend
}

function connect(t: TestContext, options: Omit<OtlpDestinationOptions, 'type'>) {
  const destination = createOtlpDestination({ type: 'otlp', ...options })
  t.after(() => destination.close())
  return destination
}

/** Sets environment variables until the test ends. */
function setEnv(t: TestContext, variables: Readonly<Record<string, string>>): void {
  const before = { ...process.env }
  Object.assign(process.env, variables)
  t.after(() => {
    process.env = before
  })
}

/** ExportLogsServiceResponse with a partial success (opentelemetry/proto/collector/logs/v1). */
function partialSuccess(rejected: number, message: string): Buffer {
  const text = Buffer.from(message)
  const partial = Buffer.from([0x08, rejected, 0x12, text.length, ...text])
  return Buffer.from([0x0a, partial.length, ...partial])
}

const judgements: readonly { what: string; respond: Respond; expected: Partial<Delivery> & { reason?: unknown } }[] = [
  { what: 'an empty 200', respond: answer(200), expected: { status: 'delivered' } },
  { what: '204', respond: answer(204), expected: { status: 'delivered' } },
  { what: 'an empty JSON answer', respond: answer(200, json, '{}'), expected: { status: 'delivered' } },
  {
    what: 'an empty partial success',
    respond: answer(200, json, '{"partialSuccess":{}}'),
    expected: { status: 'delivered' },
  },
  {
    what: 'a partial success that refuses nothing and warns',
    respond: answer(200, protobuf, partialSuccess(0, 'deprecated')),
    expected: { status: 'delivered' },
  },
  {
    what: 'a partial success in protobuf',
    respond: answer(200, protobuf, partialSuccess(2, 'too old')),
    expected: { status: 'rejected', reason: '2 of 3 records refused: too old' },
  },
  {
    what: 'a partial success in JSON, whose count is a string',
    respond: answer(200, json, '{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"no"}}'),
    expected: { status: 'rejected', reason: '3 of 3 records refused: no' },
  },
  {
    what: 'a login page',
    respond: answer(200, { 'Content-Type': 'text/html' }, '<html>Please log in</html>'),
    expected: { status: 'retry', reason: 'HTTP 200 with text/html, which is no OTLP answer' },
  },
  {
    what: 'a body of no type',
    respond: answer(200, {}, 'ok'),
    expected: { status: 'retry', reason: 'HTTP 200 with no content type, which is no OTLP answer' },
  },
  { what: 'broken JSON', respond: answer(200, json, '{"partialSuc'), expected: { status: 'retry' } },
  ...['null', '"ok"', '[]'].map((text) => ({
    what: `JSON that is no object (${text})`,
    respond: answer(200, json, text),
    expected: { status: 'retry' as const },
  })),
  {
    what: 'a count that is no number',
    respond: answer(200, json, '{"partialSuccess":{"rejectedLogRecords":"x"}}'),
    expected: { status: 'retry' },
  },
  {
    what: 'cut protobuf',
    respond: answer(200, protobuf, partialSuccess(2, 'too old').subarray(0, 5)),
    expected: { status: 'retry' },
  },
  {
    what: '400',
    respond: answer(400, {}, 'bad request'),
    expected: { status: 'rejected', reason: 'HTTP 400: bad request' },
  },
  { what: '413', respond: answer(413), expected: { status: 'rejected', reason: 'HTTP 413' } },
  ...[301, 401, 403, 404, 500].map((status) => ({
    what: String(status),
    respond: answer(status, {}, 'no'),
    expected: { status: 'retry' as const, reason: `HTTP ${status}: no` },
  })),
  {
    what: 'a protobuf error',
    respond: answer(500, protobuf, Buffer.from('\x12\x09too\x00large', 'latin1')),
    expected: { status: 'retry', reason: 'HTTP 500: too large' },
  },
  {
    what: '429 with seconds',
    respond: answer(429, { 'Retry-After': '7' }),
    expected: { status: 'retry', reason: 'HTTP 429', afterMs: 7_000 },
  },
  {
    what: '503 with a date that has passed',
    respond: answer(503, { 'Retry-After': 'Wed, 21 Oct 2015 07:28:00 GMT' }),
    expected: { status: 'retry', afterMs: 0 },
  },
]

for (const { what, respond, expected } of judgements) {
  test(`${what} is ${expected.status}, after one request`, async (t) => {
    const backend = await start(t, respond)
    const delivery = await connect(t, { endpoint: backend.url }).send(batchOf(1, 3), t.signal)
    assert.partialDeepStrictEqual(delivery, expected)
    assert.equal(backend.requests.length, 1)
  })
}

test('a long error text is cut', async (t) => {
  const backend = await start(t, answer(500, {}, 'x'.repeat(10_000)))
  const delivery = await connect(t, { endpoint: backend.url }).send(batchOf(1, 1), t.signal)
  assert.ok('reason' in delivery && delivery.reason.length < 400)
})

test('a refused connection is a retry that names the peer', async (t) => {
  const port = await freePort()
  const delivery = await connect(t, { endpoint: `http://127.0.0.1:${port}` }).send(batchOf(1, 1), t.signal)
  assert.equal(delivery.status, 'retry')
  assert.match('reason' in delivery ? delivery.reason : '', new RegExp(`^http://127.0.0.1:${port}: .*ECONNREFUSED`))
})

const silences: readonly { what: string; respond: Respond }[] = [
  { what: 'never answers', respond: () => {} },
  { what: 'begins to answer and stops', respond: (response) => response.writeHead(200, protobuf).write('\x0a') },
  {
    what: 'drips, so that the connection is never idle',
    respond: (response) => {
      response.writeHead(200, protobuf)
      const dripping = setInterval(() => response.write('\x00'), 5)
      response.on('close', () => clearInterval(dripping))
    },
  },
]

for (const { what, respond } of silences) {
  test(`a peer that ${what} is a retry when the time is up`, async (t) => {
    const backend = await start(t, respond)
    const delivery = await connect(t, { endpoint: backend.url, timeoutMs: 60 }).send(batchOf(1, 1), t.signal)
    assert.deepEqual(delivery, { status: 'retry', reason: `${backend.url}: no answer within 60 ms` })
    await backend.untilDisconnected()
  })
}

test('a connection that breaks in the answer is a retry', async (t) => {
  const backend = await start(t, (response) => {
    response.writeHead(200, { ...protobuf, 'Content-Length': '100' }).write('\x0a')
    setImmediate(() => response.destroy())
  })
  const delivery = await connect(t, { endpoint: backend.url }).send(batchOf(1, 1), t.signal)
  assert.equal(delivery.status, 'retry')
})

test('an answer without end is not read to its end', async (t) => {
  const backend = await start(t, (response) => {
    response.writeHead(200, protobuf)
    response.write(Buffer.alloc(5 * 2 ** 20))
  })
  const delivery = await connect(t, { endpoint: backend.url }).send(batchOf(1, 1), t.signal)
  assert.match('reason' in delivery ? delivery.reason : '', /an answer of more than 4194304 bytes/)
})

test('stopping ends a request that is under way, and its connection', async (t) => {
  const arrived = Promise.withResolvers<void>()
  const backend = await start(t, () => arrived.resolve())
  const stopping = new AbortController()
  const sending = connect(t, { endpoint: backend.url }).send(batchOf(1, 1), stopping.signal)
  await arrived.promise
  stopping.abort()
  assert.deepEqual(await sending, { status: 'retry', reason: 'stopped' })
  await backend.untilDisconnected()
})

test('one connection serves many batches, and closing ends it', async (t) => {
  const backend = await start(t)
  const destination = connect(t, { endpoint: backend.url })
  for (let batch = 0; batch < 5; batch++) await destination.send(batchOf(1, 1), t.signal)
  assert.equal(backend.connections.size, 1)
  await destination.close()
  await backend.untilDisconnected()
})

test('a finished request leaves no listener on the signal and no timer', async (t) => {
  const backend = await start(t)
  const stopping = new AbortController()
  const timersBefore = timers()
  let listeners = 0
  t.mock.method(stopping.signal, 'addEventListener', () => (listeners += 1))
  t.mock.method(stopping.signal, 'removeEventListener', () => (listeners -= 1))
  await connect(t, { endpoint: backend.url }).send(batchOf(1, 1), stopping.signal)
  assert.deepEqual([listeners, timers()], [0, timersBefore])
})

test('the request holds the sealed text, its projection, and one envelope a resource', async (t) => {
  const backend = await start(t)
  const trace = { flags: 1, id: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' }
  const records = [
    makeRecord(1, { trace }),
    makeRecord(2, { reason: 'ünïcode \u2028 "quoted" 😀' }),
    makeRecord(3, { resource: { 'host.name': 'h1' } }),
    makeRecord(4, { resource: { 'host.name': 'h1' } }),
    makeRecord(5, { outcome: 'denied', service: 'orders' }),
  ]
  await connect(t, { endpoint: backend.url, protocol: 'http/json' }).send(makeBatch(records), t.signal)
  const [request] = backend.requests
  assert.equal(request?.path, '/v1/logs')
  assert.equal(request.headers['content-type'], 'application/json')
  assert.match(request.headers['user-agent'] ?? '', /^otel-audit\/\d/)
  const { resourceLogs } = JSON.parse(request.body.toString()) as OtlpJson
  assert.deepEqual(
    resourceLogs.map(({ resource }) => attributesOf(resource)),
    [{ 'service.name': 'billing' }, { 'host.name': 'h1', 'service.name': 'billing' }, { 'service.name': 'orders' }],
  )
  const scopes = resourceLogs.flatMap((logs) => logs.scopeLogs)
  assert.deepEqual(new Set(scopes.map(({ scope }) => scope.name)), new Set(['otel-audit']))
  const logRecords = scopes.flatMap((scope) => scope.logRecords)
  assert.deepEqual(
    logRecords.map((log) => log.body.stringValue),
    records.map((record) => record.bytes.toString()),
  )
  const [first, , , , last] = logRecords
  assert.partialDeepStrictEqual(first, {
    eventName: 'invoice.delete',
    timeUnixNano: '1795338000000000001',
    observedTimeUnixNano: '1795338000000000002',
    severityText: 'INFO',
    traceId: trace.id,
    spanId: trace.span,
    flags: 1,
  })
  assert.partialDeepStrictEqual(attributesOf(first), { 'audit.actor.id': 'u-1', 'audit.sequence.number': 1 })
  assert.equal(last?.severityText, 'WARN')
  assert.equal(last?.traceId, undefined)
})

test('gzip changes the transfer and nothing else', async (t) => {
  const backend = await start(t)
  await connect(t, { endpoint: backend.url, compression: 'none' }).send(batchOf(1, 50), t.signal)
  await connect(t, { endpoint: backend.url, compression: 'gzip' }).send(batchOf(1, 50), t.signal)
  const [plain, compressed] = backend.requests
  assert.equal(compressed?.headers['content-encoding'], 'gzip')
  assert.ok(Number(compressed?.headers['content-length']) < Number(plain?.headers['content-length']) / 2)
  assert.deepEqual(compressed?.body, plain?.body)
})

const endpoints = [
  { endpoint: '', path: '/v1/logs' },
  { endpoint: '/', path: '/v1/logs' },
  { endpoint: '/otlp', path: '/otlp/v1/logs' },
  { endpoint: '/otlp/?tenant=a', path: '/otlp/v1/logs?tenant=a' },
  { endpoint: '/v1/logs', path: '/v1/logs' },
]

for (const { endpoint, path } of endpoints) {
  test(`the endpoint …${endpoint} is posted to as ${path}`, async (t) => {
    const backend = await start(t)
    await connect(t, { endpoint: `${backend.url}${endpoint}` }).send(batchOf(1, 1), t.signal)
    assert.equal(backend.requests[0]?.path, path)
  })
}

test('what options leave open comes from the OTEL_EXPORTER_OTLP variables', async (t) => {
  const backend = await start(t)
  setEnv(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: `${backend.url}/base`,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20one,x-tenant=t',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  })
  await connect(t, {}).send(batchOf(1, 1), t.signal)
  await connect(t, {
    endpoint: backend.url,
    headers: { Authorization: 'Bearer two' },
    compression: 'none',
    protocol: 'http/protobuf',
  }).send(batchOf(1, 1), t.signal)
  setEnv(t, {
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${backend.url}/exact`,
    OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'http/protobuf',
  })
  await connect(t, {}).send(batchOf(1, 1), t.signal)
  const seen = backend.requests.map(({ path, headers }) => [
    path,
    headers['content-type'],
    headers['content-encoding'],
    headers['x-tenant'],
  ])
  assert.deepEqual(seen, [
    ['/base/v1/logs', 'application/json', 'gzip', 't'],
    ['/v1/logs', 'application/x-protobuf', undefined, 't'],
    ['/exact', 'application/x-protobuf', 'gzip', 't'],
  ])
  assert.match(String(backend.requests[0]?.headers.authorization), /Bearer one/)
  assert.match(String(backend.requests[1]?.headers.authorization), /Bearer two/)
})

test('settings that cannot be meant are refused at once', () => {
  for (const options of [{ endpoint: 'collector:4318' }, { endpoint: 'not a url' }, { timeoutMs: -1 }]) {
    assert.throws(() => createOtlpDestination({ type: 'otlp', ...options }), { code: 'INVALID_OPTION' })
  }
})

test('gRPC in the environment is refused, unless the endpoint is given here', async (t) => {
  setEnv(t, { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })
  assert.throws(() => createOtlpDestination({ type: 'otlp' }), { code: 'INVALID_OPTION', message: /grpc/ })
  const backend = await start(t)
  await connect(t, { endpoint: backend.url }).send(batchOf(1, 1), t.signal)
  assert.equal(backend.requests[0]?.headers['content-type'], 'application/x-protobuf')
})

test('an unknown peer name is a retry, and so is a TLS peer that speaks none', async (t) => {
  const backend = await start(t)
  for (const endpoint of ['http://collector.invalid:4318', backend.url.replace('http:', 'https:')]) {
    const delivery = await connect(t, { endpoint }).send(batchOf(1, 1), t.signal)
    assert.equal(delivery.status, 'retry')
  }
})

function timers(): number {
  return getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
}

interface OtlpJson {
  readonly resourceLogs: readonly {
    readonly resource: Attributed
    readonly scopeLogs: readonly {
      readonly scope: { readonly name: string }
      readonly logRecords: readonly LogRecord[]
    }[]
  }[]
}

interface Attributed {
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[]
}

interface LogRecord extends Attributed {
  readonly body: { readonly stringValue: string }
  readonly severityText?: string
  readonly traceId?: string
}

function attributesOf(attributed: Attributed | undefined): Record<string, unknown> {
  return Object.fromEntries((attributed?.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]]))
}

test('TLS trusts the given authority alone, shows its certificate, and takes rotated files for new connections', async (t) => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'otel-audit-otlp-'))
  t.after(() => fs.rmSync(directory, { recursive: true }))
  const authority = makeAuthority(join(directory, 'ours'))
  const stranger = makeAuthority(join(directory, 'theirs'))
  const server = authority.issue('server', 'IP:127.0.0.1')
  const read = (path: string) => fs.readFileSync(path, 'utf8')
  const keys = { key: read(server.keyFile), cert: read(server.certFile), ca: read(authority.caFile) }
  const receiver = await startHttpReceiver(keys)
  receiver.answer = (response) => response.end()
  t.after(() => receiver.stop())
  const [caFile, certFile, keyFile] = ['ca.pem', 'client.pem', 'client.key'].map((name) => join(directory, name))
  assert.ok(caFile && certFile && keyFile)
  const show = (client: { certFile: string; keyFile: string }) => {
    fs.copyFileSync(client.certFile, certFile)
    fs.copyFileSync(client.keyFile, keyFile)
  }
  fs.copyFileSync(authority.caFile, caFile)
  show(stranger.issue('client', 'DNS:client'))
  setEnv(t, {
    OTEL_EXPORTER_OTLP_CERTIFICATE: caFile,
    OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: certFile,
    OTEL_EXPORTER_OTLP_CLIENT_KEY: keyFile,
  })
  const fromEnv = connect(t, { endpoint: receiver.url })
  const fromOptions = connect(t, { endpoint: receiver.url, tls: { caFile, certFile, keyFile } })
  for (const destination of [fromEnv, fromOptions]) {
    show(stranger.issue('client', 'DNS:client'))
    assert.equal((await destination.send(batchOf(1, 1), t.signal)).status, 'retry', 'a certificate of somebody else')
    show(authority.issue('client', 'DNS:client'))
    assert.deepEqual(await destination.send(batchOf(1, 1), t.signal), { status: 'delivered' }, 'rotated')
  }
  fs.copyFileSync(stranger.caFile, caFile)
  const other = await connect(t, { endpoint: receiver.url }).send(batchOf(1, 1), t.signal)
  assert.match('reason' in other ? other.reason : '', /self-signed certificate|unable to verify/)
})
