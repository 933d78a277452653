import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readConfig } from '../../src/audit/read-config.ts'
import { rotateKey } from '../../src/chain/key-rotation.ts'
import { createKeyFile, loadSigner } from '../../src/chain/keys.ts'
import type { Report } from '../../src/index.ts'
import { runCli } from '../cli/run.ts'
import { freshFolder, openAudit, recordsIn } from './opened.ts'

const prod = 'billing' // the deployment of `openAudit`

async function verifyWith(folder: string, vkey: string): Promise<Report> {
  const { stdout } = await runCli(['verify', join(folder, 'spool'), '--vkey', vkey, '--json'])
  return JSON.parse(stdout) as Report
}

async function run(folder: string, keys: Parameters<typeof openAudit>[1] = {}): Promise<string> {
  const audit = openAudit(folder, keys)
  audit.emit({ action: 'invoice.delete', operation: 'delete' })
  await audit.close()
  return audit.verifierKey
}

const rotationsIn = (folder: string) => recordsIn(folder).filter(({ action }) => action === 'audit.key.rotated')

function keyIn(t: TestContext): { folder: string; file: string; options: object } {
  const folder = freshFolder(t)
  const file = join(folder, 'audit.key')
  createKeyFile(file)
  return { folder, file, options: { keys: { signingKeyFile: file } } }
}

test('the opening after a rotation seals it once, and the first verifier key verifies the whole trail', async (t) => {
  const { folder, file, options } = keyIn(t)
  const first = await run(folder, options)
  assert.equal(rotationsIn(folder).length, 0)
  rotateKey(file, prod)
  const second = await run(folder, options)
  assert.notEqual(second, first)
  await run(folder, options)
  const opened = recordsIn(folder).filter(({ action }) => action === 'audit.stream.opened')
  assert.deepEqual(
    opened.map(({ details }) => details?.verifier_key),
    [first, second, second],
  )
  const sealed = rotationsIn(folder)
  assert.deepEqual(
    sealed.map(({ details }) => [details?.old, details?.new]),
    [[first, second]],
  )
  for (const vkey of [first, second]) {
    const report = await verifyWith(folder, vkey)
    assert.deepEqual([report.verdict, report.exitCode], ['INTACT', 0])
  }
})

test('two rotations between two openings are both sealed, in order', async (t) => {
  const { folder, file, options } = keyIn(t)
  const first = await run(folder, options)
  const { new: between } = rotateKey(file, prod)
  rotateKey(file, prod)
  await run(folder, options)
  assert.deepEqual(
    rotationsIn(folder).map(({ details }) => details?.old),
    [first, between],
  )
  assert.equal((await verifyWith(folder, first)).exitCode, 0)
})

test('a key that was replaced without a rotation is not believed', async (t) => {
  const { folder, options } = keyIn(t)
  const first = await run(folder, options)
  createKeyFile(join(folder, 'other.key'))
  await run(folder, { keys: { signingKeyFile: join(folder, 'other.key') } })
  assert.equal(rotationsIn(folder).length, 0)
  const report = await verifyWith(folder, first)
  assert.deepEqual([report.verdict, report.exitCode], ['BAD_SIGNATURE', 1])
})

test('a rotation while the service runs changes nothing until it is opened again', async (t) => {
  const { folder, file, options } = keyIn(t)
  const audit = openAudit(folder, options)
  rotateKey(file, prod)
  await audit.emit({ action: 'invoice.delete', operation: 'delete' }).durable
  await audit.close()
  const report = await verifyWith(folder, audit.verifierKey)
  assert.deepEqual([report.verdict, report.exitCode], ['INTACT', 0])
  await run(folder, options)
  assert.equal((await verifyWith(folder, audit.verifierKey)).exitCode, 0)
})

test('a rotation whose record was not durable is sealed at the next opening', async (t) => {
  const { folder, file, options } = keyIn(t)
  const first = await run(folder, options)
  rotateKey(file, prod)
  await run(folder, options)
  writeFileSync(join(folder, 'spool', 'key-in-use'), `${first}\n`) // as a crash before the sync leaves it
  await run(folder, options)
  assert.equal(rotationsIn(folder).length, 2)
  assert.equal((await verifyWith(folder, first)).exitCode, 0)
})

test('the key may come as a text, with its line breaks written out, and no file is made', async (t) => {
  const { folder, file } = keyIn(t)
  const signingKey = readFileSync(file, 'utf8').replaceAll('\n', '\\n')
  const verifierKey = await run(folder, { keys: { signingKey } })
  assert.equal(verifierKey, loadSigner(file, prod).verifierKey)
  assert.ok(!existsSync(join(folder, 'spool', 'audit.key')))
  const environment = { AUDIT_KEYS_SIGNING_KEY: signingKey }
  assert.equal(readConfig({ options: {}, environment }).config?.signingKey, signingKey)
})

test('a key from the environment rotates by the file of rotations that is named', async (t) => {
  const { folder, file } = keyIn(t)
  const first = await run(folder, { keys: { signingKey: readFileSync(file, 'utf8') } })
  const { file: next, rotationsFile } = rotateKey(file, prod, join(folder, 'next.key'))
  await run(folder, { keys: { signingKey: readFileSync(next, 'utf8'), rotationsFile } })
  assert.equal(rotationsIn(folder).length, 1)
  assert.equal((await verifyWith(folder, first)).exitCode, 0)
})
