import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { createKeyFile, loadOrCreateKey, loadSigner, signerFromPem } from '../../src/chain/keys.ts'
import { openNote, signNote } from '../../src/chain/note.ts'
import { AuditError } from '../../src/errors.ts'
import { verifierOf } from './signers.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-keys-'))
after(() => rmSync(folder, { recursive: true }))
let files = 0
const freshPath = (): string => join(folder, `audit-${++files}.key`)
const pemOf = (type: 'ed25519' | 'x25519'): string =>
  generateKeyPairSync(type as 'ed25519')
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString()

const loadOrCreateSigner = (file: string, name: string) => signerFromPem(loadOrCreateKey(file, name), name)

const unreadable =
  (message: RegExp, hint: RegExp = /./) =>
  (thrown: unknown): boolean => {
    assert.ok(thrown instanceof AuditError, String(thrown))
    assert.equal(thrown.code, 'KEY_UNREADABLE')
    assert.match(thrown.message, message)
    assert.match(thrown.hint, hint)
    return true
  }

test('a new key is private, signs, and is the same key when loaded again', () => {
  const file = freshPath()
  const signer = loadOrCreateSigner(file, 'prod')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.match(readFileSync(file, 'utf8'), /^-----BEGIN PRIVATE KEY-----\n/)
  assert.equal(openNote(signNote('text\n', signer), [verifierOf(signer.verifierKey)]).problem, undefined)
  for (const again of [loadSigner(file, 'prod'), loadOrCreateSigner(file, 'prod')])
    assert.equal(again.verifierKey, signer.verifierKey)
  assert.equal(signerFromPem(readFileSync(file, 'utf8'), 'prod').verifierKey, signer.verifierKey)
})

test('a key that exists is loaded without writing to its directory, which may be read-only', () => {
  const directory = freshPath()
  mkdirSync(directory)
  const file = join(directory, 'audit.key')
  createKeyFile(file)
  utimesSync(directory, 1_000, 1_000)
  loadOrCreateSigner(file, 'prod')
  assert.equal(statSync(directory).mtimeMs, 1_000_000)
})

test('the umask cannot open a new key to others', () => {
  const file = freshPath()
  const before = process.umask(0)
  try {
    createKeyFile(file)
  } finally {
    process.umask(before)
  }
  assert.equal(statSync(file).mode & 0o777, 0o600)
})

test('making a key never replaces one, and leaves no draft behind', () => {
  const file = freshPath()
  assert.equal(createKeyFile(file), true)
  const pem = readFileSync(file, 'utf8')
  assert.equal(createKeyFile(file), false)
  assert.equal(readFileSync(file, 'utf8'), pem)
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith('.new')),
    [],
  )
})

test('processes that race for the first key all end with the same one', async () => {
  const file = freshPath()
  const script = `import { loadOrCreateKey, signerFromPem } from ${JSON.stringify(new URL('../../src/chain/keys.ts', import.meta.url))}
    process.stdout.write(signerFromPem(loadOrCreateKey(${JSON.stringify(file)}, 'prod'), 'prod').verifierKey)`
  const start = () => promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script])
  const keys = await Promise.all([start(), start(), start(), start()])
  assert.deepEqual([...new Set(keys.map(({ stdout }) => stdout))], [loadSigner(file, 'prod').verifierKey])
})

test('a key that others may read is refused with the chmod that mends it', () => {
  const file = freshPath()
  createKeyFile(file)
  for (const mode of [0o640, 0o604, 0o644, 0o620, 0o666]) {
    chmodSync(file, mode)
    const octal = mode.toString(8)
    for (const load of [loadSigner, loadOrCreateSigner])
      assert.throws(
        () => load(file, 'prod'),
        unreadable(new RegExp(`${file}.*0${octal}`), new RegExp(`chmod 600 ${file}`)),
      )
  }
  chmodSync(file, 0o400)
  assert.doesNotThrow(() => loadSigner(file, 'prod'))
})

test('a key reached through a symbolic link loads, and the access of the key itself counts', () => {
  const [file, link] = [freshPath(), freshPath()]
  createKeyFile(file)
  symlinkSync(file, link)
  assert.equal(loadSigner(link, 'prod').verifierKey, loadSigner(file, 'prod').verifierKey)
  chmodSync(file, 0o644)
  assert.throws(() => loadSigner(link, 'prod'), unreadable(/0644/))
})

test('what is not an Ed25519 private key is refused, and the file named', () => {
  const publicPem = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const encrypted = generateKeyPairSync('ed25519').privateKey.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'secret',
  })
  const rows: readonly (readonly [text: string, message: RegExp])[] = [
    ['', /malformed/],
    ['garbage', /malformed/],
    [pemOf('ed25519').slice(0, 80), /malformed/],
    [publicPem, /malformed/],
    [encrypted.toString(), /malformed/],
    [pemOf('x25519'), /type x25519, not Ed25519/],
    ['x'.repeat(20_000), /not a key file/],
  ]
  for (const [text, message] of rows) {
    const file = freshPath()
    writeFileSync(file, text, { mode: 0o600 })
    assert.throws(() => loadSigner(file, 'prod'), unreadable(message, /PKCS#8 PEM/))
    assert.throws(() => loadOrCreateSigner(file, 'prod'), unreadable(new RegExp(file)))
    assert.equal(readFileSync(file, 'utf8'), text, 'what is there stays as it is')
  }
})

test('a missing key, a directory and a pipe are refused, none of them waits', async () => {
  assert.throws(
    () => loadSigner(join(folder, 'none.key'), 'prod'),
    unreadable(/none\.key.*ENOENT/, /otel-audit key new/),
  )
  const directory = freshPath()
  mkdirSync(directory)
  assert.throws(() => loadSigner(directory, 'prod'), unreadable(/not a key file/))
  const pipe = freshPath()
  await promisify(execFile)('mkfifo', ['-m', '600', pipe])
  assert.throws(() => loadSigner(pipe, 'prod'), unreadable(/not a key file/))
})

test('where no key can be made, the error says so and nothing is left', () => {
  const file = join(folder, 'missing', 'audit.key')
  assert.throws(() => loadOrCreateSigner(file, 'prod'), unreadable(/cannot be created: .*ENOENT/, /directory/))
  const link = freshPath()
  symlinkSync(join(folder, 'nowhere'), link)
  assert.throws(() => loadOrCreateSigner(link, 'prod'), unreadable(/ENOENT/))
  assert.ok(!existsSync(join(folder, 'nowhere')))
})

test('a name that cannot stand in a note is refused before any file is made', () => {
  for (const name of ['', 'a b', 'a+b', 'a\n', '\u00a0']) {
    const file = freshPath()
    const makers = [
      () => loadSigner(file, name),
      () => loadOrCreateSigner(file, name),
      () => signerFromPem(pemOf('ed25519'), name),
    ]
    for (const make of makers)
      assert.throws(make, (thrown) => {
        assert.ok(thrown instanceof AuditError)
        assert.deepEqual([thrown.code, thrown.setting], ['INVALID_OPTION', 'deployment'])
        assert.ok(thrown.message.includes(JSON.stringify(name)))
        return true
      })
    assert.ok(!existsSync(file))
  }
})

test('no error about a key shows the key', () => {
  const pem = pemOf('x25519')
  const secret = pem.split('\n')[1] ?? assert.fail()
  assert.throws(
    () => signerFromPem(pem, 'prod'),
    (thrown) => thrown instanceof AuditError && !`${thrown.message}${thrown.hint}${thrown.cause}`.includes(secret),
  )
})
