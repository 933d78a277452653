import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { convertEvent } from '../../src/event/convert.ts'
import { encodeRecord } from '../../src/event/record.ts'
import { compileRedaction } from '../../src/policy/redact.ts'
import { createPseudonyms } from '../../src/policy/redaction/pseudonym.ts'
import { position } from '../event/positions.ts'
import { mainFile, runCli } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-pseudonym-'))
after(() => rmSync(folder, { recursive: true }))
const key = 'a key of the tests, of no use'
const keyFile = join(folder, 'pseudonym.key')
writeFileSync(keyFile, `${key}\n`, { mode: 0o600 })
const { pseudonymOf } = createPseudonyms(key)

const trail = join(folder, 'trail.ndjson')
const redaction = compileRedaction({
  keys: ['customer'],
  modes: { customer: 'pseudonym', email: 'pseudonym' },
  preset: 'strict',
  pseudonymKey: key,
})
const events = [
  { action: 'order.create', details: { customer: 'c-17', note: 'n' } },
  { action: 'mail.send', reason: 'to ann@example.com, as asked', details: { 'ann@example.com': 1 } },
  { action: 'order.create', details: { customer: 'c-18' } },
]
writeFileSync(
  trail,
  events
    .map((given, index) => {
      const event = convertEvent({ timestamp: '2026-11-22T10:00:00Z', ...given })
      event.redactions = redaction.redact(event)
      return `${encodeRecord(event, { ...position, sequence: index + 1 })}\n`
    })
    .join(''),
)

test('lookup prints which pseudonym is whose, one form of an address like another', async () => {
  const found = await runCli(['pseudonym', 'lookup', '--key-file', keyFile, 'c-17', '2001:DB8:0::1'])
  assert.deepEqual(found, {
    exitCode: 0,
    stdout: `${pseudonymOf('c-17')}  c-17\n${pseudonymOf('2001:db8::1')}  2001:DB8:0::1\n`,
    stderr: '',
  })
})

test('lookup --of names the value that a pseudonym stands for, and exits 1 when it is none of them', async () => {
  const of = ['pseudonym', 'lookup', '--key-file', keyFile, '--of', pseudonymOf('c-17')]
  const found = await runCli([...of, 'c-16', 'c-17', '--json'])
  assert.equal(found.exitCode, 0, found.stderr)
  assert.deepEqual(JSON.parse(found.stdout).values, [{ value: 'c-17', pseudonym: pseudonymOf('c-17') }])
  const none = await runCli([...of, 'c-16'])
  assert.deepEqual([none.exitCode, none.stdout], [1, `${pseudonymOf('c-17')}  none of the values\n`])
})

test('lookup --in finds the records in which a value stands under its pseudonym, in values and in keys', async () => {
  const argv = ['pseudonym', 'lookup', '--key-file', keyFile, 'c-17', 'ann@example.com', '--in', trail]
  const found = await runCli([...argv, '--json'])
  assert.equal(found.exitCode, 0, found.stderr)
  const { records, read, unreadable } = JSON.parse(found.stdout)
  assert.deepEqual(
    records.map((place: Record<string, unknown>) => [place.value, place.sequence, place.action, place.pointer]),
    [
      ['c-17', 1, 'order.create', '/details/customer'],
      ['ann@example.com', 2, 'mail.send', `/details/${pseudonymOf('ann@example.com')}`],
      ['ann@example.com', 2, 'mail.send', '/reason'],
    ],
  )
  assert.deepEqual([read, unreadable], [3, 0])
  const shown = await runCli(argv)
  assert.match(shown.stdout, /:1 {2}2026-11-22T10:00:00\.000000000Z {2}order\.create {2}\/details\/customer {2}c-17\n/)
  assert.match(shown.stdout, /3 places in 3 records\n$/)
  const nobody = await runCli(['pseudonym', 'lookup', '--key-file', keyFile, 'c-99', '--in', trail])
  assert.equal(nobody.exitCode, 1)
})

test('lookup reads values from standard input, one a line', () => {
  const argv = [mainFile, 'pseudonym', 'lookup', '--key-file', keyFile]
  const { stdout, status } = spawnSync(process.execPath, argv, { input: 'c-17\n\nc-18\n', encoding: 'utf8' })
  assert.deepEqual([status, stdout], [0, `${pseudonymOf('c-17')}  c-17\n${pseudonymOf('c-18')}  c-18\n`])
})

test('what is wrong is named with the remedy, and the key never shown', async () => {
  const open = join(folder, 'open.key')
  writeFileSync(open, key)
  chmodSync(open, 0o644)
  const short = join(folder, 'short.key')
  writeFileSync(short, 'short', { mode: 0o600 })
  const other = createPseudonyms('another key of the tests').pseudonymOf('c-17')
  const rows: readonly (readonly [argv: readonly string[], message: RegExp])[] = [
    [['c-17'], /--key-file is missing/],
    [['--key-file', join(folder, 'none'), 'x'], /does not exist/],
    [['--key-file', open, 'x'], /everybody on this machine may read/],
    [['--key-file', short, 'x'], /has 5 characters, at least 16/],
    [['--key-file', keyFile], /no VALUE was given/],
    [['--key-file', keyFile, '--of', 'pseudonym:x', 'x'], /is no pseudonym/],
    [['--key-file', keyFile, '--of', other, 'x'], /was not made with this key/],
    [['--key-file', keyFile, '--in', join(folder, 'none'), 'x'], /none/],
  ]
  for (const [argv, message] of rows) {
    const ended = await runCli(['pseudonym', 'lookup', ...argv])
    assert.deepEqual([ended.exitCode, ended.stdout], [2, ''], argv.join(' '))
    assert.match(ended.stderr, message)
    assert.match(ended.stderr, /\n {2}hint: /)
    assert.ok(!ended.stderr.includes(key))
  }
})
