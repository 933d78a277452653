/** `otel-audit proof` as a user runs it: made from a file, checked with nothing but the record and the key. */

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { makeKeys, makeTrail, toNdjson } from '../support/trail.ts'
import { runCli } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-proof-'))
after(() => rmSync(folder, { recursive: true }))

const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const lines = makeTrail({ stream, keys, records: 20, interval: 8 }).lines
const inFolder = (name: string): string => join(folder, name)
writeFileSync(inFolder('audit.ndjson'), toNdjson(lines))
writeFileSync(inFolder('audit.vkey'), `${keys.signer.verifierKey}\n`)
const vkey = ['--vkey', inFolder('audit.vkey')]

it('makes a proof with its record beside it, which then proves that record and no other', async () => {
  const out = inFolder('five.tlog-proof')
  const made = await runCli(['proof', 'create', inFolder('audit.ndjson'), '--seq', '5', '--out', out, '--json'])
  assert.equal(made.exitCode, 0, made.stderr)
  const record = inFolder('five.record.json')
  const written = { proof: out, record, stream, sequence: 5, deployment: 'prod', size: 9 }
  assert.deepEqual(JSON.parse(made.stdout), written)
  assert.equal(readFileSync(record, 'utf8'), lines[4])

  const proven = await runCli(['proof', 'check', out, ...vkey, '--json'])
  const { hash, ...said } = JSON.parse(proven.stdout)
  assert.match(hash, /^[0-9a-f]{64}$/)
  const signers = [`prod+${keys.signer.keyId}`]
  const origin = `prod/${stream}`
  assert.deepEqual(said, { verdict: 'PROVEN', exitCode: 0, stream, sequence: 5, origin, size: 9, signers })

  writeFileSync(inFolder('forged.json'), `${lines[4]?.replace('u-5', 'u-6')}\n`)
  const forged = await runCli(['proof', 'check', out, '--record', inFolder('forged.json'), ...vkey])
  assert.deepEqual([forged.exitCode, forged.stdout.slice(0, 11)], [1, 'NOT PROVEN:'])
})

it('overwrites nothing', async () => {
  const out = inFolder('kept.tlog-proof')
  writeFileSync(out, 'kept')
  const again = await runCli(['proof', 'create', inFolder('audit.ndjson'), '--seq', '5', '--out', out])
  assert.equal(again.exitCode, 2)
  assert.match(again.stderr, /the file exists already/)
  assert.equal(readFileSync(out, 'utf8'), 'kept')
})

it('says why there is no proof, with exit code 2, and 1 where the copy is damaged', async () => {
  const create = (file: string, seq: string) =>
    runCli(['proof', 'create', file, '--seq', seq, '--out', inFolder(`no-${seq}.tlog-proof`)])
  const uncovered = await create(inFolder('audit.ndjson'), `${lines.length}`)
  assert.equal(uncovered.exitCode, 2)
  assert.match(uncovered.stderr, /no checkpoint covers it/)
  const missing = await create(inFolder('audit.ndjson'), '999')
  assert.match(missing.stderr, /holds no such record/)
  writeFileSync(inFolder('edited.ndjson'), toNdjson(lines.with(5, lines[5]?.replace('u-6', 'u-7') ?? '')))
  const damaged = await create(inFolder('edited.ndjson'), '5')
  assert.equal(damaged.exitCode, 1)
  assert.match(damaged.stderr, /do not fold to the root/)
})

it('refuses what it cannot mean, naming the option', async () => {
  for (const [argv, said] of [
    [['create', inFolder('audit.ndjson'), '--out', 'x'], /--seq or by --id/],
    [['create', inFolder('audit.ndjson'), '--seq', '0', '--out', 'x'], /--seq 0 is no sequence/],
    [['create', '-', '--seq', '1', '--out', 'x'], /standard input/],
    [['create', inFolder('audit.ndjson'), '--seq', '1'], /--out/],
    [['check', inFolder('audit.ndjson')], /--vkey is missing/],
    [['check', inFolder('absent'), ...vkey], /absent/],
  ] as const) {
    const ended = await runCli(['proof', ...argv])
    assert.deepEqual([ended.exitCode, ended.stdout], [2, ''], argv.join(' '))
    assert.match(ended.stderr, said)
  }
})
