/** Commands that look into a trail or take records out of it, and the operations stream in which that is sealed. */

import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { exportRecords } from '../../src/cli/spool-export.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { makeKeys, makeTrail, toNdjson } from '../support/trail.ts'
import { runCli } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-operations-'))
after(() => rmSync(folder, { recursive: true }))
const stream = '0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8071'
const keys = makeKeys('prod')
const trail = makeTrail({ stream, keys, records: 30, interval: 10 })
const copy = join(folder, 'audit.ndjson')
writeFileSync(copy, toNdjson(trail.lines))
const operations = join(folder, 'operations')

interface Fact {
  readonly event_type: string
  readonly details: Readonly<Record<string, unknown>>
}

function factsIn(directory: string): Fact[] {
  return [...viewSpool(diskFiles, directory).records()]
    .map(({ bytes }) => JSON.parse(bytes.toString()) as Fact)
    .filter(({ event_type }) => ['audit.anchored', 'audit.exported', 'audit.verified'].includes(event_type))
}

async function run(...argv: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runCli([...argv, '--operations', operations])
  assert.equal(exitCode, 0, stderr)
  return stdout
}

test('what verify, evidence, anchor and spool export did stands in the operations stream, with who did it', async () => {
  const vkey = ['--vkey', keys.signer.verifierKey]
  await run('verify', copy, ...vkey)
  await run('evidence', copy, ...vkey, '--out', join(folder, 'all.zip'), '--actor', 'user:u-7')
  await run('anchor', copy, ...vkey, '--out', join(folder, 'anchors'))
  const facts = factsIn(operations)
  assert.deepEqual(
    facts.map(({ event_type }) => event_type),
    ['audit.verified', 'audit.exported', 'audit.anchored'],
  )
  for (const { details } of facts) assert.equal(typeof details.operator, 'string')
  const [verified, exported, anchored] = facts.map(({ details }) => details)
  assert.deepEqual([verified?.stream, verified?.verdict, verified?.to], [stream, 'INTACT', trail.signedSize])
  assert.equal(exported?.digest, hash('sha256', readFileSync(join(folder, 'all.zip')), 'hex'))
  assert.deepEqual([exported?.count, exported?.filter], [1, { actor: 'user:u-7' }])
  assert.deepEqual([anchored?.kind, anchored?.stream, anchored?.size], ['file', stream, trail.signedSize])
  const exportedLines = await run('spool', 'export', operations)
  const { details } = factsIn(operations).at(-1) ?? { details: {} as Fact['details'] }
  assert.deepEqual([details.kind, details.count], ['spool', exportedLines.trimEnd().split('\n').length])
  assert.deepEqual(
    factsIn(operations).flatMap(({ details: { state } }) => state ?? []),
    ['begun', 'complete'],
  )
  const key = (
    await runCli(['key', 'public', join(operations, 'audit.key'), '--name', 'unknown_service'])
  ).stdout.trim()
  const whole = await runCli(['verify', operations, '--vkey', key])
  assert.equal(whole.exitCode, 0, whole.stdout)
})

test('an export that is not recorded says so', async () => {
  const out = join(folder, 'unrecorded.zip')
  const { stderr } = await runCli(['evidence', copy, '--vkey', keys.signer.verifierKey, '--out', out])
  assert.match(stderr, /not recorded: name a directory for that with --operations DIR/)
})

test('a bundle that cannot be written is not recorded, and one that cannot be recorded is not there', async () => {
  const vkey = ['--vkey', keys.signer.verifierKey]
  const [own, out] = [join(folder, 'own'), join(folder, 'second.zip')]
  const evidence = (file: string, directory: string) =>
    runCli(['evidence', copy, ...vkey, '--out', file, '--operations', directory])
  const nowhere = await evidence(join(folder, 'absent', 'all.zip'), own)
  assert.deepEqual([nowhere.exitCode, existsSync(own)], [2, false])
  writeFileSync(out, 'mine')
  assert.equal((await evidence(out, own)).exitCode, 2)
  assert.deepEqual([readFileSync(out, 'utf8'), existsSync(own)], ['mine', false])
  rmSync(out)
  assert.equal((await evidence(out, join(copy, 'no-folder'))).exitCode, 2)
  assert.deepEqual([existsSync(out), existsSync(`${out}.part`)], [false, false])
  assert.equal((await evidence(out, own)).exitCode, 0)
  assert.deepEqual([factsIn(own).length, existsSync(`${out}.part`)], [1, false])
})

test('an export whose reader goes away says how much had left', async () => {
  const spool = join(folder, 'own')
  const stdout = {
    write: (): never => {
      throw new Error('the reader has gone')
    },
  }
  const io = { stdout, stderr: { write: () => true }, env: process.env }
  await assert.rejects(async () => exportRecords.run([spool, '--operations', operations], io), /the reader has gone/)
  const [begun, ended] = factsIn(operations).slice(-2)
  assert.equal(begun?.details.state, 'begun')
  assert.deepEqual(
    [ended?.details.state, ended?.details.count, ended?.details.reason],
    ['failed', 0, 'the reader has gone'],
  )
})
