/** What is refused of a destination's options before anything starts: the setting, the value, the rule. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readOptions } from '../../src/audit/read-config.ts'
import { AuditError, type DestinationOptions } from '../../src/index.ts'

function refusalOf(destination: object): string {
  try {
    readOptions({ service: 'billing', destinations: [destination as DestinationOptions] })
  } catch (thrown) {
    assert.ok(thrown instanceof AuditError)
    assert.equal(thrown.code, 'INVALID_OPTION')
    return `${thrown.setting}: ${thrown.message}`
  }
  return 'accepted'
}

const http = { type: 'http', endpoint: 'https://siem.example/in' }
const syslog = { type: 'syslog', address: 'tls://logs.example' }
const s3 = { type: 's3', bucket: 'audit' }
const clickhouse = { type: 'clickhouse', url: 'http://localhost:8123' }

const refusals: readonly (readonly [destination: object, setting: string, rule: RegExp])[] = [
  [{ type: 'carrier-pigeon' }, 'type', /"?otlp.*syslog|Invalid discriminator|otlp/],
  [{ ...http, endpoint: 'ftp://siem.example' }, 'endpoint', /http:\/\/ or https:\/\//],
  [{ type: 'http' }, 'endpoint', /http:\/\/ or https:\/\//],
  [{ ...http, format: 'xml' }, 'format', /"json", "ndjson", "splunk-hec"/],
  [{ ...http, secret: 'hunter2' }, 'secret', /whsec_ and the base64 of 24 to 64/],
  [{ ...http, secret: [] }, 'secret', /whsec_/],
  [{ ...http, headers: { 'webhook-id': '1' } }, 'headers', /which the destination sets itself/],
  [{ ...http, headers: { 'content-type': 'text/plain' } }, 'headers', /which the destination sets itself/],
  [{ ...http, tls: { certFile: 'client.pem' } }, 'tls', /certFile and keyFile together/],
  [{ ...http, timeoutMs: 0 }, 'timeoutMs', /a number above 0/],
  [{ ...http, url: 'https://siem.example' }, 'url', /there is no such option/],
  [{ ...syslog, address: 'logs/path' }, 'address', /udp:\/\/host:514/],
  [{ ...syslog, facility: 24 }, 'facility', /a number of at most 23/],
  [{ ...syslog, address: 'udp://logs', confirm: 'read' }, 'confirm', /needs tcp:\/\/ or tls:\/\//],
  [{ ...syslog, address: 'udp://logs', messageBytesMax: 65_508 }, 'messageBytesMax', /at most 65507 over UDP/],
  [{ ...syslog, address: 'tcp://logs', tls: { caFile: 'ca.pem' } }, 'tls', /begins with tls:\/\//],
  [{ type: 'file', path: 'a', maxMb: 0 }, 'maxMb', /a number above 0/],
  [{ type: 'file', path: 'a', compress: 'brotli' }, 'compress', /true, false, gzip or zstd/],
  [{ type: 'file', path: 'a', maxBackups: -1 }, 'maxBackups', /a number of at least 0/],
  [{ ...s3, accessKeyId: 'a' }, 'secretAccessKey', /together with accessKeyId/],
  [{ ...s3, objectLock: { mode: 'FOREVER', days: 1 } }, 'objectLock.mode', /"GOVERNANCE", "COMPLIANCE"/],
  [{ ...clickhouse, url: 'clickhouse://localhost' }, 'url', /http\(s\):\/\//],
  [{ ...clickhouse, table: 'a; drop table b' }, 'table', /the name of a table/],
  [
    { ...clickhouse, settings: { wait_for_async_insert: 0 } },
    'settings',
    /an insert that nobody waits for may be lost/,
  ],
  [{ type: 'exporter' }, 'module', /a text/],
  [{ type: 'exporter', module: '' }, 'module', /a text that is not empty/],
  [{ type: 'otlp', endpoint: 'ftp://collector' }, 'endpoint', /http:\/\/ or https:\/\//],
  [{ type: 'otlp', headers: { 'x\n': 'y' } }, 'headers["x\\n"]', /a name that HTTP allows for a header/],
  [{ type: 'otlp', headers: { x: 'y\nz' } }, 'headers.x', /one line of Latin-1/],
  [{ type: 'otlp', headers: 'x=y' }, 'headers', /an object/],
  [{ type: 'postgres', url: 'mysql://database' }, 'url', /postgres:\/\/user/],
  [{ type: 'exporter', module: './e.js', options: { make: () => 1 } }, 'options.make', /./],
  [{ type: 'stdout', fallback: 'stdout' }, 'fallback', /there is no such option/],
]

for (const [destination, setting, rule] of refusals) {
  test(`${JSON.stringify(destination)} is refused by its ${setting}`, () => {
    const refusal = refusalOf(destination)
    assert.ok(refusal.startsWith(`destinations[0].${setting}: `), refusal)
    assert.match(refusal, rule)
    assert.doesNotMatch(refusal, /hunter2/)
  })
}

const accepted: readonly object[] = [
  {
    ...http,
    secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    headers: { Authorization: 'Bearer x' },
    fallback: 'stdout',
  },
  { ...http, tls: { caFile: 'ca.pem', certFile: 'client.pem', keyFile: 'client.key', serverName: 'siem' } },
  { ...syslog, confirm: 'read', messageBytesMax: 65_536 },
  { type: 'syslog', address: 'localhost:514' },
  { type: 'file', path: 'a', maxMb: 0.5, maxAgeHours: 24, compress: 'zstd', maxBackups: 10 },
  { type: 'file', path: 'a', compress: false },
  { ...s3, accessKeyId: 'a', secretAccessKey: 'b', objectLock: { mode: 'COMPLIANCE', days: 365 } },
  { ...clickhouse, table: 'audit.record', settings: { async_insert: 1, insert_quorum: 'auto' } },
  { type: 'exporter', module: './e.js', export: 'Exporter', options: { url: 'http://localhost', nested: [1, null] } },
]

for (const destination of accepted) {
  test(`${JSON.stringify(destination)} is accepted`, () => {
    assert.equal(refusalOf(destination), 'accepted')
  })
}

test('two files at one path are refused: only one of them would ever be written', () => {
  const destinations = [
    { type: 'file', path: './audit.ndjson' },
    { type: 'file', name: 'copy', path: 'audit.ndjson' },
  ] as const
  assert.throws(() => readOptions({ service: 'billing', destinations }), {
    code: 'INVALID_OPTION',
    setting: 'destinations[1].path',
    message: /two destinations share this one/,
  })
})
