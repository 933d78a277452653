/** What openSource makes of what it is shown: the kind by looking, and a reason for whatever is no source. */

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { AuditError } from '../../src/errors.ts'
import { type Line, splitLines } from '../../src/verify/sources/lines.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { makeKeys, makeTrail, toNdjson, toOtlp } from '../support/trail.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-sources-'))
after(() => rmSync(folder, { recursive: true }))

const keys = makeKeys('prod')
const trail = makeTrail({ stream: '019b7c2f-1111-7000-8000-000000000001', keys, records: 20, interval: 8 }).lines

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

async function refusal(source: string): Promise<string> {
  const thrown: unknown = await openSource(source).then(
    () => assert.fail('a source was opened'),
    (error: unknown) => error,
  )
  assert.ok(thrown instanceof AuditError)
  assert.equal(thrown.code, 'SOURCE_UNREADABLE')
  return thrown.message.replace(`${source}: `, '')
}

describe('a source', () => {
  it('of NDJSON is known by its content', async () => {
    const source = await openSource(file('a.log', toNdjson(trail)))
    assert.equal(source.kind, 'ndjson')
    assert.equal((await verifySource(source, { verifiers: [keys.verifier] })).verdict, 'INTACT')
  })

  it('of a collector is known by its content', async () => {
    const source = await openSource(file('b.log', toOtlp(trail)))
    assert.equal(source.kind, 'otlp')
    assert.equal((await verifySource(source, { verifiers: [keys.verifier] })).verdict, 'INTACT')
  })

  it('of a collector is known although its first line is damaged', async () => {
    assert.equal((await openSource(file('c.log', `x${toOtlp(trail)}`))).kind, 'otlp')
  })

  it('of a database is known by its URL, and its name hides the password', async () => {
    const source = await openSource('postgres://auditor:secret@127.0.0.1:1/app?password=secret')
    assert.deepEqual([source.kind, source.name], ['postgres', 'postgres://auditor@127.0.0.1:1/app'])
    const report = await verifySource(source, { verifiers: [] })
    assert.deepEqual([report.exitCode, report.verdict], [2, 'UNREADABLE'])
    assert.doesNotMatch(JSON.stringify(report), /secret/)
  })

  it('leaves no file open behind it', { skip: !existsSync('/proc/self/fd') && 'no /proc/self/fd here' }, async () => {
    const path = file('closed.ndjson', toNdjson(trail))
    const openFiles = () => readdirSync('/proc/self/fd').length
    const before = openFiles()
    for (let times = 0; times < 20; times += 1) {
      const source = await openSource(path)
      await verifySource(source, { verifiers: [keys.verifier] })
    }
    assert.ok(openFiles() < before + 20)
  })

  it('that is none is refused with the reason', async () => {
    mkdirSync(join(folder, 'empty'))
    assert.equal(await refusal(join(folder, 'absent')), 'there is no such file or directory')
    assert.equal(await refusal(join(folder, 'empty')), 'it is a directory without a spool and without NDJSON in it')
    assert.equal(await refusal(file('none', '')), 'it is empty')
    assert.match(await refusal(file('z', Buffer.of(0x1f, 0x8b, 8, 0))), /^as gzip it is not whole/)
  })

  it('of log records that are not ours holds no records', async () => {
    const foreign = { body: { stringValue: 'GET /' }, attributes: [{ key: 'a', value: { intValue: '1' } }] }
    const batch = { resourceLogs: [{ scopeLogs: [{ scope: { name: 'app' }, logRecords: [foreign] }] }] }
    const source = await openSource(file('f', `${JSON.stringify(batch)}\n`))
    const report = await verifySource(source, { verifiers: [keys.verifier] })
    assert.deepEqual([report.exitCode, report.verdict, report.findings], [2, 'NO_RECORDS', []])
  })

  it('of any shape below resourceLogs is read without throwing', async () => {
    for (const odd of [
      '{"resourceLogs":1}',
      '{"resourceLogs":[null]}',
      '{"resourceLogs":[{"scopeLogs":[null,1]}]}',
      '{"resourceLogs":[{"scopeLogs":[{"scope":null,"logRecords":[null,1,{"body":7,"attributes":[null,{"key":1}]}]}]}]}',
      '{"resourceLogs":[{"scopeLogs":[{"scope":{"name":"otel-audit"},"logRecords":[{}]}]}]}',
    ]) {
      const report = await verifySource(await openSource(file('odd', `${odd}\n`)), { verifiers: [] })
      assert.equal(report.exitCode, 2, odd)
    }
  })
})

describe('lines', () => {
  async function linesOf(chunks: readonly string[], lineBytesMax: number): Promise<Line[]> {
    const lines: Line[] = []
    const bytes = async function* (): AsyncGenerator<Buffer> {
      for (const chunk of chunks) yield Buffer.from(chunk)
    }
    for await (const group of splitLines(bytes(), lineBytesMax)) lines.push(...group)
    return lines
  }
  const texts = (lines: readonly Line[]): string[] => lines.map(({ bytes }) => bytes.toString())

  it('are the same however the bytes are cut into chunks', async () => {
    const text = 'one\n\ntwö\r\nthree'
    const whole = await linesOf([text], 100)
    assert.deepEqual(texts(whole), ['one', '', 'twö\r', 'three'])
    assert.deepEqual(
      whole.map(({ number, isEnded }) => [number, isEnded]),
      [
        [1, true],
        [2, true],
        [3, true],
        [4, false],
      ],
    )
    assert.deepEqual(texts(await linesOf([...text], 100)), texts(whole))
  })

  it('that are too long are hashed, not kept', async () => {
    const lines = await linesOf(['ab', 'cd', 'ef\ngh\n'], 4)
    assert.deepEqual(texts(lines), ['', 'gh'])
    // printf '\0abcdef' | sha256sum
    assert.equal(lines[0]?.tooLong, '9656ab74c5c5e4fce6f29cf68d204f4627f399b0bab024d98419529977cb98dd')
  })
})
