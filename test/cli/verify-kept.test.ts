/** `verify --since` and `--keep` as an auditor uses them from one day to the next. */

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { makeKeys, makeTrail, TrailWriter, toNdjson } from '../support/trail.ts'
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

it('a key that was trusted on first use is remembered, and another one is refused from then on', async () => {
  const trust = join(folder, 'first-use.json')
  const sealedBy = (number: number) => {
    const own = makeKeys('prod', number)
    const writer = new TrailWriter('019b7c2f-1111-7000-8000-000000000002', own)
    writeFileSync(copy, toNdjson(writer.open({ verifier_key: own.signer.verifierKey }).act(3).checkpoint().lines))
    return own.signer.verifierKey
  }
  const run = (...argv: string[]) => runCli(['verify', copy, '--trust-on-first-use', ...argv])

  const first = sealedBy(1)
  assert.match((await run()).stdout, /: FIRST_USE, 5 records[\s\S]*\nTrusted on first use: /)
  const taken = await run('--trust', trust)
  assert.equal(taken.exitCode, 0)
  assert.ok(taken.stdout.includes(`  ${first}\nThey are remembered in ${trust}.\n`), taken.stdout)
  assert.deepEqual(JSON.parse(readFileSync(trust, 'utf8')), { keys: [{ key: first }] })
  const again = await run('--trust', trust, '--json')
  const { verdict, sources } = JSON.parse(again.stdout)
  assert.deepEqual([again.exitCode, verdict, sources[0].keysOnFirstUse], [0, 'INTACT', undefined])

  sealedBy(2)
  const refused = await run('--trust', trust, '--json')
  assert.deepEqual([refused.exitCode, JSON.parse(refused.stdout).verdict], [1, 'BAD_SIGNATURE'])
  assert.deepEqual(JSON.parse(readFileSync(trust, 'utf8')), { keys: [{ key: first }] })

  // What else the file says stays, and with findings nothing is added.
  const staging = { keys: [{ key: makeKeys('staging').signer.verifierKey }], origins: ['prod/*'] }
  writeFileSync(trust, JSON.stringify(staging))
  writeFileSync(copy, readFileSync(copy, 'utf8').replace('"u-3"', '"u-4"'))
  const damaged = await run('--trust', trust)
  assert.deepEqual([damaged.exitCode, damaged.stderr], [1, `${trust} was left as it is: see the findings\n`])
  const second = sealedBy(2)
  await run('--trust', trust)
  const all = { keys: [...staging.keys, { key: second }], origins: ['prod/*'] }
  assert.deepEqual(JSON.parse(readFileSync(trust, 'utf8')), all)
})
