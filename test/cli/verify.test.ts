/** `otel-audit verify`: exit codes, the text for people, the JSON for programs, and what is wrong with its arguments. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { command } from '../../src/cli/verify.ts'
import { AuditError } from '../../src/errors.ts'
import type { Report } from '../../src/verify/report.ts'
import { leafOf, makeKeys, makeTrail, toNdjson, toOtlp } from '../support/trail.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-verify-'))
after(() => rmSync(folder, { recursive: true }))

const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const trail = makeTrail({ stream, keys, records: 20, interval: 8 }).lines
const forged = (trail[4] ?? '').replace('u-5', 'm-5')

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const whole = file('audit.ndjson', toNdjson(trail))
const collected = file('collector.jsonl', toOtlp(trail))
const damaged = file('damaged.ndjson', toNdjson(trail.with(4, forged)))
const vkey = file('audit.vkey', `# prod\n${keys.signer.verifierKey}\n`)

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', '']
  const stdout = { write: (text: string) => (out += text) }
  const stderr = { write: (text: string) => (err += text) }
  const code = await command.run(argv, { stdout, stderr, env: {} })
  return { code, out, err }
}

async function refusal(...argv: string[]): Promise<AuditError> {
  const thrown: unknown = await run(...argv).then(
    () => assert.fail('it ran'),
    (error: unknown) => error,
  )
  assert.ok(thrown instanceof AuditError)
  return thrown
}

describe('otel-audit verify', () => {
  it('verifies every copy with a key file or the key itself, and says so', async () => {
    const { code, out, err } = await run(whole, collected, '--vkey', vkey)
    assert.equal(code, 0)
    assert.match(out, /audit\.ndjson \(ndjson\): INTACT, 25 records in 1 stream\n/)
    assert.match(out, /collector\.jsonl \(otlp\): INTACT/)
    assert.match(out, /stream prod\/019b7c2f-1111-7000-8000-000000000001: INTACT, 25 records \(1 to 25\), 3 signed/)
    assert.match(out, /rolled back as a whole/)
    assert.equal(err, '')
    assert.equal((await run(whole, '--vkey', keys.signer.verifierKey)).code, 0)
  })

  it('names the changed record with both hashes', async () => {
    const { code, out } = await run(damaged, '--vkey', vkey)
    assert.equal(code, 1)
    assert.match(
      out,
      /CONTENT_TAMPERED sequence 5 of 019b7c2f-1111-7000-8000-000000000001 \(line 5\): the record was changed/,
    )
    assert.ok(out.includes(`expected ${leafOf(trail[4] ?? '')}\n`))
    assert.ok(out.includes(`found    ${leafOf(forged)}\n`))
  })

  it('prints one JSON report, whose exit code is the worst', async () => {
    const { code, out } = await run(whole, damaged, join(folder, 'absent'), '--vkey', vkey, '--json')
    const report = JSON.parse(out) as Report
    assert.deepEqual([code, report.exitCode, report.verdict], [1, 1, 'CONTENT_TAMPERED'])
    assert.deepEqual(
      report.sources.map(({ verdict, exitCode }) => [verdict, exitCode]),
      [
        ['INTACT', 0],
        ['CONTENT_TAMPERED', 1],
        ['UNREADABLE', 2],
      ],
    )
    assert.match(report.sources[2]?.unreadable[0]?.reason ?? '', /there is no such file/)
  })

  it('proves nothing without a key, unless that is allowed', async () => {
    const { code, out } = await run(whole)
    assert.equal(code, 1)
    assert.match(out, /UNANCHORED of .*: no verifier key was given/)
    assert.equal((await run(whole, '--allow-unanchored')).code, 0)
    assert.equal((await run(damaged, '--allow-unanchored')).code, 1)
  })

  it('takes a missing beginning only when told that the copy is partial', async () => {
    const rest = file('rotated.ndjson', toNdjson(trail.slice(3)))
    const { code, out } = await run(rest, '--vkey', vkey)
    assert.equal(code, 1)
    assert.match(out, /MISSING sequences 1 to 3 .*--allow-partial/)
    assert.equal((await run(rest, '--vkey', vkey, '--allow-partial')).code, 0)
  })

  it('never takes garbage or nothing for verified', async () => {
    const { code, out } = await run(file('garbage', '\0\x01\x02\nnothing\n'), file('nothing', ''), '--vkey', vkey)
    assert.equal(code, 2)
    assert.match(out, /nothing in it is a record of a trail/)
    assert.match(out, /no record was read/)
    assert.match(out, /nothing: it is empty/)
  })

  it('lets nothing in a source move the cursor', async () => {
    const moving = file('moving.ndjson', `{"seq":1,"stream":"\\u001b[2Jx\\u202e"}\n`)
    const { out } = await run(moving, '--vkey', vkey)
    assert.ok(out.includes('\\u001b[2Jx\\u202e'))
    assert.ok(!out.includes('\x1b') && !out.includes('\u202e'))
  })

  it('refuses a bad key and a missing source by name', async () => {
    const absent = await refusal(whole, '--vkey', 'no-such-key')
    assert.deepEqual([absent.code, absent.setting], ['INVALID_OPTION', '--vkey'])
    assert.match(absent.message, /^--vkey no-such-key: it is neither a key/)
    const malformed = file('bad.vkey', 'prod+00000000+AAAA\n')
    assert.match((await refusal(whole, '--vkey', malformed)).message, /bad\.vkey: a verifier key that is not Ed25519/)
    assert.match((await refusal(whole, '--vkey', file('no.vkey', '\n'))).message, /holds no key/)
    assert.equal((await refusal()).setting, 'SOURCE')
  })
})
