import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
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
const openssl = (...argv: string[]) => execFileSync('openssl', argv, { cwd: folder, stdio: 'pipe' }).toString()

/** A timestamp authority of openssl behind HTTP. */
async function startAuthority(t: TestContext): Promise<string> {
  const config = `[tsa]\ndefault_tsa = t
[t]\nserial = ./serial\ncrypto_device = builtin\nsigner_cert = ./tsa.pem\ncerts = ./ca.pem\nsigner_key = ./tsa.key
signer_digest = sha256\ndefault_policy = 1.2.3.4\ndigests = sha256\naccuracy = secs:1\ness_cert_id_alg = sha256
[ext]\nextendedKeyUsage = critical,timeStamping\n`
  writeFileSync(join(folder, 'tsa.cnf'), config)
  writeFileSync(join(folder, 'serial'), '01\n')
  openssl('req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=ca')
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'tsa.key', '-out', 'tsa.csr', '-subj', '/CN=tsa')
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'tsa.cnf', '-extensions', 'ext']
  openssl('x509', '-req', '-in', 'tsa.csr', '-out', 'tsa.pem', '-days', '2', ...signing)
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    writeFileSync(join(folder, 'query.tsq'), Buffer.concat(chunks))
    openssl('ts', '-reply', '-config', 'tsa.cnf', '-queryfile', 'query.tsq', '-out', 'reply.tsr')
    response.end(request.url === '/empty' ? 'no timestamp' : readFileSync(join(folder, 'reply.tsr')))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`
}

test('the newest checkpoint is written and timestamped, and openssl verifies the timestamp', async (t) => {
  const authority = await startAuthority(t)
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
