import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadSigner } from '../../src/chain/keys.ts'
import { parseVerifierKey } from '../../src/chain/note.ts'
import { runCli } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-key-'))
after(() => rmSync(folder, { recursive: true }))
let files = 0
const freshPath = (): string => join(folder, `${++files}.key`)

test('key new makes a private file and prints nothing but the verifier key, which key public prints again', async () => {
  const file = freshPath()
  const made = await runCli(['key', 'new', '--name', 'prod', '--out', file])
  assert.equal(made.exitCode, 0, made.stderr)
  assert.equal(made.stdout, `${loadSigner(file, 'prod').verifierKey}\n`)
  assert.ok(!('problem' in parseVerifierKey(made.stdout.trim())))
  assert.ok(made.stderr.includes(file))
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const shown = await runCli(['key', 'public', file, '--name', 'prod'])
  assert.deepEqual(shown, { exitCode: 0, stdout: made.stdout, stderr: '' })
})

test('with --json both print one line that names file, name, key id and verifier key', async () => {
  const file = freshPath()
  const made = await runCli(['key', 'new', '--name', 'example.com/log', '--out', file, '--json'])
  const { keyId, verifierKey } = loadSigner(file, 'example.com/log')
  assert.deepEqual(JSON.parse(made.stdout), { file, name: 'example.com/log', keyId, verifierKey })
  assert.equal(made.stdout.split('\n').length, 2)
  const shown = await runCli(['key', 'public', '--json', '--name=example.com/log', file])
  assert.equal(shown.stdout, made.stdout)
})

test('key new never overwrites a key', async () => {
  const file = freshPath()
  await runCli(['key', 'new', '--name', 'prod', '--out', file])
  const pem = readFileSync(file, 'utf8')
  const again = await runCli(['key', 'new', '--name', 'prod', '--out', file])
  assert.deepEqual([again.exitCode, again.stdout], [2, ''])
  assert.match(
    again.stderr,
    new RegExp(`^otel-audit: --out: ${file} exists already\n  hint: a key is never overwritten`),
  )
  assert.equal(readFileSync(file, 'utf8'), pem)
})

test('a name that cannot stand in a note makes no file', async () => {
  const file = freshPath()
  for (const name of ['a b', 'a+b']) {
    const { exitCode, stderr } = await runCli(['key', 'new', '--name', name, '--out', file])
    assert.equal(exitCode, 2)
    assert.match(stderr, /^otel-audit: --name: "a.b" cannot be the name of a signing key\n {2}hint: /)
  }
  assert.throws(() => statSync(file), { code: 'ENOENT' })
})

test('a key that cannot be used is named with the reason and the remedy', async () => {
  const file = freshPath()
  const missing = await runCli(['key', 'public', file, '--name', 'prod'])
  assert.equal(missing.exitCode, 2)
  assert.match(
    missing.stderr,
    new RegExp(`^otel-audit: the signing key file ${file} cannot be read: .*ENOENT.*\n  hint: `),
  )
  await runCli(['key', 'new', '--name', 'prod', '--out', file])
  chmodSync(file, 0o644)
  const open = await runCli(['key', 'public', file, '--name', 'prod'])
  assert.equal(open.exitCode, 2)
  assert.match(open.stderr, new RegExp(`mode 0644\\)\n  hint: chmod 600 ${file}`))
})

test('key public takes exactly one file', async () => {
  const none = await runCli(['key', 'public', '--name', 'prod'])
  assert.match(none.stderr, /^otel-audit: FILE is missing\n/)
  const two = await runCli(['key', 'public', 'a', 'b', '--name', 'prod'])
  assert.match(two.stderr, /^otel-audit: unexpected argument b\n/)
  assert.deepEqual([none.exitCode, two.exitCode], [2, 2])
})

test('key rotate puts another key in the place of the old one, which stays beside it, and lists both', async () => {
  const file = freshPath()
  const made = await runCli(['key', 'new', '--name', 'prod', '--out', file])
  const { keyId } = loadSigner(file, 'prod')
  const rotated = await runCli(['key', 'rotate', file, '--name', 'prod'])
  assert.equal(rotated.exitCode, 0, rotated.stderr)
  assert.equal(rotated.stdout, `${loadSigner(file, 'prod').verifierKey}\n`)
  assert.notEqual(rotated.stdout, made.stdout)
  assert.equal(loadSigner(`${file}.${keyId}`, 'prod').verifierKey, made.stdout.trim())
  assert.deepEqual([statSync(file).mode & 0o777, statSync(`${file}.${keyId}`).mode & 0o777], [0o600, 0o600])
  const listed = await runCli(['key', 'list', file, '--name', 'prod'])
  assert.equal(listed.stdout, `${made.stdout.trim()}  replaced\n${rotated.stdout.trim()}  signs\n`)
})

test('key rotate --next leaves the old file alone and takes the key that it names', async () => {
  const [file, next] = [freshPath(), freshPath()]
  await runCli(['key', 'new', '--name', 'prod', '--out', file])
  const before = readFileSync(file, 'utf8')
  await runCli(['key', 'new', '--name', 'prod', '--out', next])
  const rotated = await runCli(['key', 'rotate', file, '--name', 'prod', '--next', next, '--json'])
  const report = JSON.parse(rotated.stdout)
  assert.deepEqual(report, {
    file: next,
    oldFile: file,
    rotationsFile: `${next}.rotations`,
    name: 'prod',
    old: loadSigner(file, 'prod').verifierKey,
    new: loadSigner(next, 'prod').verifierKey,
  })
  assert.equal(readFileSync(file, 'utf8'), before)
  const same = await runCli(['key', 'rotate', file, '--name', 'prod', '--next', file])
  assert.equal(same.exitCode, 2)
  assert.match(same.stderr, /^otel-audit: --next: .* holds the key that is to be replaced\n {2}hint: /)
})
