import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startFileServer } from '../support/file-server.ts'
import { startAuthority } from '../support/timestamp-authority.ts'
import { makeKeys, makeTrail, toNdjson } from '../support/trail.ts'
import { runCli } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-anchor-'))
after(() => rmSync(folder, { recursive: true }))
const stream = '0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8071'
const keys = makeKeys('prod')
const trail = makeTrail({ stream, keys, records: 30, interval: 10 })
const copy = join(folder, 'audit.ndjson')
writeFileSync(copy, toNdjson(trail.lines))
const vkey = keys.signer.verifierKey

test('the newest checkpoint is written and timestamped, and openssl verifies the timestamp', async (t) => {
  const { url: authority, openssl } = await startAuthority(t, folder)
  const out = join(folder, 'anchors')
  const argv = ['anchor', copy, '--vkey', vkey, '--out', out, '--json']
  const { exitCode, stdout, stderr } = await runCli([...argv, '--tsa', authority])
  assert.equal(exitCode, 0, stderr)
  const [one] = JSON.parse(stdout).anchored as { size: number; checkpoint: string; timestamp: string }[]
  assert.ok(one !== undefined)
  assert.equal(one.size, trail.signedSize)
  const last = JSON.parse(trail.lines.at(-1) ?? '') as { details: { note: string } }
  assert.equal(readFileSync(one.checkpoint, 'utf8'), last.details.note)
  const check = ['ts', '-verify', '-in', one.timestamp, '-CAfile', 'ca.pem', '-data']
  assert.match(openssl(...check, one.checkpoint), /Verification: OK|^$/)
  writeFileSync(join(folder, 'other'), 'another text')
  assert.throws(() => openssl(...check, 'other'))
  const refused = await runCli([...argv, '--tsa', `${authority}/empty`])
  assert.equal(refused.exitCode, 2)
  assert.match(refused.stderr, /no timestamp response\n {2}hint: /)
})

test('--git commits what was written, once', async () => {
  const out = join(folder, 'repository')
  mkdirSync(out)
  const git = (...argv: string[]) => execFileSync('git', ['-C', out, ...argv]).toString()
  git('init', '-q')
  git('config', 'user.email', 'auditor@example.com')
  git('config', 'user.name', 'auditor')
  for (let times = 0; times < 2; times += 1) {
    const { exitCode, stderr } = await runCli(['anchor', copy, '--vkey', vkey, '--out', out, '--git'])
    assert.equal(exitCode, 0, stderr)
  }
  assert.equal(git('log', '--format=%s'), 'otel-audit checkpoints\n')
  assert.equal(git('status', '--porcelain'), '')
})

test('of a copy with findings nothing is anchored', async () => {
  const damaged = join(folder, 'damaged.ndjson')
  writeFileSync(damaged, toNdjson(trail.lines).replace('"u-7"', '"u-8"'))
  const out = join(folder, 'nothing')
  const { exitCode, stdout } = await runCli(['anchor', damaged, '--vkey', vkey, '--out', out])
  assert.equal(exitCode, 1)
  assert.match(stdout, /^nothing was anchored: CONTENT_TAMPERED/)
  assert.deepEqual(readdirSync(out), [])
})

test('--url puts each checkpoint on a server, and says why where it does not take it', async (t) => {
  const server = await startFileServer(t)
  const argv = ['anchor', copy, '--vkey', vkey, '--out', join(folder, 'published'), '--json', '--url']
  const { exitCode, stdout, stderr } = await runCli([...argv, `${server.url}/audit/`])
  assert.equal(exitCode, 0, stderr)
  const path = `/audit/${stream}-${trail.signedSize}.checkpoint`
  assert.equal(JSON.parse(stdout).anchored[0].address, `${server.url}${path}`)
  assert.match(server.files.get(path) ?? '', /^prod\//)
  server.status = 403
  const refused = await runCli([...argv, server.url])
  assert.equal(refused.exitCode, 2)
  assert.match(refused.stderr, /--url http\S+: HTTP status 403\n {2}hint: /)
})
