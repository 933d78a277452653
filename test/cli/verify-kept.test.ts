/** `verify --since` and `--keep` as an auditor uses them from one day to the next. */

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { makeKeys, makeTrail, toNdjson } from '../support/trail.ts'
import { runCli } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-kept-'))
after(() => rmSync(folder, { recursive: true }))
const [copy, kept, vkey] = ['audit.ndjson', 'last.checkpoint', 'audit.vkey'].map((name) => join(folder, name)) as [
  string,
  string,
  string,
]

const keys = makeKeys('prod')
const lines = makeTrail({ stream: '019b7c2f-1111-7000-8000-000000000001', keys, records: 20, interval: 8 }).lines
writeFileSync(vkey, keys.signer.verifierKey)

async function verify(...more: string[]) {
  const { exitCode, stdout, stderr } = await runCli(['verify', copy, '--vkey', vkey, '--json', ...more])
  const { verdict = '', trustedOnFirstUse } = stdout === '' ? {} : JSON.parse(stdout)
  return { exitCode, stderr, verdict, trustedOnFirstUse }
}

it('each run shows what the one before saw, and a rollback is found', async () => {
  const [yesterday, today] = [lines.slice(0, 10), lines]
  writeFileSync(copy, toNdjson(yesterday))
  const first = await verify('--since', kept, '--keep', kept)
  assert.deepEqual([first.exitCode, first.verdict, first.trustedOnFirstUse], [0, 'INTACT', true])
  const before = readFileSync(kept, 'utf8')
  assert.match(before, /^prod\/019b7c2f-1111-7000-8000-000000000001\n9\n/)

  writeFileSync(copy, toNdjson(today))
  const second = await verify('--since', kept, '--keep', kept)
  assert.deepEqual([second.exitCode, second.trustedOnFirstUse], [0, undefined])
  const after = readFileSync(kept, 'utf8')
  assert.notEqual(after, before)

  writeFileSync(copy, toNdjson(yesterday))
  assert.equal((await verify()).verdict, 'INTACT')
  const rolledBack = await verify('--since', kept, '--keep', kept)
  assert.deepEqual([rolledBack.exitCode, rolledBack.verdict], [1, 'TRUNCATED'])
  assert.equal(readFileSync(kept, 'utf8'), after, 'what was kept stays when there are findings')
})

it('a file that is missing, or holds no checkpoints, is refused with what to do', async () => {
  const missing = await verify('--since', join(folder, 'absent'))
  assert.deepEqual([missing.exitCode, missing.verdict], [2, ''])
  assert.match(missing.stderr, /--since .*absent/)
  writeFileSync(join(folder, 'odd'), 'no note')
  assert.match((await verify('--since', join(folder, 'odd'))).stderr, /holds no checkpoints/)
})

it('a trust file brings the keys, and says which streams there must be', async () => {
  writeFileSync(copy, toNdjson(lines))
  const trust = join(folder, 'trust.json')
  const run = async (content: object) => {
    writeFileSync(trust, JSON.stringify(content))
    const { exitCode, stdout, stderr } = await runCli(['verify', copy, '--trust', trust, '--json'])
    return [exitCode, stdout === '' ? stderr : JSON.parse(stdout).verdict]
  }
  const key = keys.signer.verifierKey
  assert.deepEqual(await run({ keys: [{ key }] }), [0, 'INTACT'])
  assert.deepEqual(await run({ keys: [{ key }], origins: ['prod/*'] }), [0, 'INTACT'])
  const absent = 'prod/019b7c2f-9999-7000-8000-000000000001'
  assert.deepEqual(await run({ keys: [{ key }], origins: ['prod/*', absent] }), [1, 'STREAM_MISSING'])
  const [code, said] = await run({ keys: [{ key }], origin: [] })
  assert.equal(code, 2)
  assert.match(said, /--trust .*origin/)
})
