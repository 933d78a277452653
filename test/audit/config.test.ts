import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig, readOptions } from '../../src/audit/read-config.ts'
import { AuditError, type AuditOptions } from '../../src/index.ts'

type SpoolOptions = NonNullable<AuditOptions['spool']>

const refused: readonly (readonly [SpoolOptions, RegExp])[] = [
  [{ bytesMax: 1_000 }, /^spool\.bytesMax is 1000; allowed: .*262144/],
  [
    { bytesMax: 2 ** 20, reserveBytes: 2 ** 20 },
    /^spool\.reserveBytes is 1048576; allowed: less than spool\.bytesMax, which is 1048576$/,
  ],
  [{ reserveBytes: -1 }, /^spool\.reserveBytes is -1; allowed: .*0/],
  [{ onFull: 'drop' as 'block' }, /^spool\.onFull is "drop"; allowed: "block", "refuse"$/],
  [{ blockMsMax: 60_000 }, /^spool\.blockMsMax is 60000; allowed: .*10000/],
  [{ keepMinutes: 0.5 }, /^spool\.keepMinutes is 0\.5; allowed: a whole number/],
  [{ unsyncedBytesMax: 0 }, /^spool\.unsyncedBytesMax is 0; allowed: /],
]

test('a budget that cannot be meant is refused, with setting, value and rule', () => {
  for (const [spool, text] of refused) {
    assert.throws(
      () => readOptions({ spool }),
      (error) => {
        assert.ok(error instanceof AuditError && error.code === 'INVALID_OPTION')
        assert.match(error.message, text)
        assert.equal(error.setting, `spool.${Object.keys(spool).at(-1)}`)
        return true
      },
    )
  }
})

test('the reserve follows a small budget, and what is given counts', () => {
  assert.equal(readOptions({ spool: { bytesMax: 2 ** 20 } }).spool.reserveBytes, 2 ** 17)
  assert.equal(readOptions({ spool: { bytesMax: 2 ** 40 } }).spool.reserveBytes, 2 ** 24)
  assert.equal(readOptions({ spool: { reserveBytes: 0 } }).spool.reserveBytes, 0)
})

test('an option that is given as undefined has its default', () => {
  const given = { bytesMax: undefined, reserveBytes: undefined, onFull: undefined, keepMinutes: undefined }
  const { values } = readOptions({ spool: given, metrics: undefined })
  assert.deepEqual(values, readOptions({}).values)
})

test('a variable of OpenTelemetry that would keep an otlp destination from sending is refused by name', () => {
  const otlp = (environment: NodeJS.ProcessEnv, options: AuditOptions = { destinations: [{ type: 'otlp' }] }) =>
    readConfig({ options, environment: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', ...environment } })
  for (const [name, value, allowed] of [
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc', 'http/protobuf, http/json'],
    ['OTEL_EXPORTER_OTLP_LOGS_ENDPOINT', 'collector:4317', 'a URL that begins with http:// or https://'],
  ] as const) {
    const [problem, ...others] = otlp({ [name]: value }).problems
    assert.equal(problem?.message, `${name} is "${value}"; allowed: ${allowed}`)
    assert.equal(problem?.setting, name)
    assert.deepEqual(others, [])
  }
  const grpc = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }
  assert.deepEqual(otlp({ ...grpc, OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'http/json' }).problems, [])
  assert.deepEqual(otlp(grpc, { destinations: [{ type: 'otlp', endpoint: 'http://c:4318' }] }).problems, [])
  assert.deepEqual(otlp(grpc, { destinations: [{ type: 'stdout' }] }).problems, [])
  assert.deepEqual(otlp(grpc, { destinations: [{ type: 'otlp' }], delivery: 'external' }).problems, [])
})
