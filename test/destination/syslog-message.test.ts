import assert from 'node:assert/strict'
import { test } from 'node:test'
import { leafHash } from '../../src/chain/hash.ts'
import { parseAddress } from '../../src/destination/syslog-address.ts'
import { encodeMessage, frameMessage, type MessageHead } from '../../src/destination/syslog-message.ts'
import { makeRecord, stream } from './records.ts'

const head: MessageHead = { facility: 13, hostname: 'host.example', appName: undefined, enterpriseId: 32_473 }

test('a message is the record verbatim behind a head of RFC 5424', () => {
  const record = makeRecord(7, { reason: 'ünïcode ] " \\' })
  const id = '0190f5a0-0000-7000-8000-000000000007'
  assert.equal(
    encodeMessage(record, head).toString(),
    '<110>1 2026-11-22T09:00:00.000000Z host.example billing - invoice.delete ' +
      `[otelAudit@32473 auditId="${id}" stream="${stream}" sequence="7" hash="${leafHash(record.bytes)}"] ${record.bytes}`,
  )
})

test('what failed or was denied is a warning', () => {
  const priorityOf = (outcome: string) => encodeMessage(makeRecord(1, { outcome }), head).toString()
  assert.deepEqual(
    ['success', 'unknown', 'failure', 'denied'].map(priorityOf).map((text) => text.slice(0, 4)),
    ['<110', '<110', '<108', '<108'],
  )
})

test('names are kept to visible ASCII and to their length', () => {
  const record = makeRecord(1, { action: `prüfung.${'x'.repeat(50)}`, service: 'two words' })
  const [, , name, app, process, messageId] = encodeMessage(record, { ...head, hostname: 'höst' })
    .toString()
    .split(' ')
  assert.deepEqual([name, app, process, messageId], ['h_st', 'two_words', '-', `pr_fung.${'x'.repeat(24)}`])
})

test('a record that is none of ours still makes a message', () => {
  const bytes = Buffer.from('no JSON')
  assert.match(
    encodeMessage({ stream: 'a"b]c\\', sequence: 1, bytes }, head).toString(),
    /^<110>1 - host.example otel-audit - - \[otelAudit@32473 auditId="" stream="a\\"b\\]c\\\\" .*\] no JSON$/,
  )
})

test('a frame counts octets, not characters', () => {
  assert.equal(frameMessage(Buffer.from('ü')).toString(), '2 ü')
})

test('an address names transport, host and port', () => {
  const cases: [string, string | undefined][] = [
    ['udp://logs:5514', 'udp logs 5514'],
    ['tcp://logs', 'tcp logs 514'],
    ['tls://logs', 'tls logs 6514'],
    ['TLS://logs.example:7000', 'tls logs.example 7000'],
    ['127.0.0.1:514', 'udp 127.0.0.1 514'],
    ['tcp://logs:80', 'tcp logs 80'],
    ['udp://[::1]:514', 'udp ::1 514'],
    ['http://logs', undefined],
    ['tcp://', undefined],
    ['tcp://user@logs', undefined],
    ['tcp://logs/path', undefined],
    ['tcp://logs:99999', undefined],
    ['', undefined],
  ]
  for (const [text, expected] of cases) {
    const address = parseAddress(text)
    assert.equal(address && `${address.transport} ${address.host} ${address.port}`, expected, text)
  }
})
