import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { checkpointDetails } from '../../src/chain/checkpoint.ts'
import { cosign, openCosignature, parseWitnessKey, witnessKeyOf } from '../../src/chain/cosignature.ts'
import { createKeyFile } from '../../src/chain/keys.ts'
import { Frontier, proveConsistency } from '../../src/chain/merkle.ts'
import { openNote, type Signer } from '../../src/chain/note.ts'
import { AuditError } from '../../src/errors.ts'
import { openWitnessStore } from '../../src/witness/store.ts'
import { addCheckpoint, type WitnessParts } from '../../src/witness/witness.ts'
import { newSigner, verifierOf } from '../chain/signers.ts'
import { mainFile, runCli } from '../cli/run.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-witness-'))
after(() => rmSync(folder, { recursive: true }))

const origin = 'prod/0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8071'
const [log, own] = [newSigner('prod'), newSigner('witness.example.com/w1')]
const leavesOf = (count: number, salt = 0) => Array.from({ length: count }, (_, n) => Buffer.alloc(32, n + 1 + salt))

function noteOf(leaves: readonly Buffer[], signer: Signer = log, name = origin): string {
  const frontier = new Frontier()
  for (const leaf of leaves) frontier.append(leaf)
  return checkpointDetails(frontier, name, signer).note
}

function requestOf(old: number, leaves: readonly Buffer[], note = noteOf(leaves)): string {
  const proof = old === 0 ? [] : proveConsistency(leaves, old)
  return `old ${old}\n${proof.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${note}`
}

function newWitness(): WitnessParts {
  const store = openWitnessStore(mkdtempSync(join(folder, 'store-')))
  return { signer: own, logs: [verifierOf(log.verifierKey)], store, now: () => 1_700_000_000 }
}

test('a witness cosigns what continues the log, and the cosignature opens with its key alone', () => {
  const witness = newWitness()
  const key = parseWitnessKey(witnessKeyOf(own))
  assert.ok(!('problem' in key))
  for (const [old, size] of [
    [0, 3],
    [3, 3],
    [3, 8],
    [8, 21],
  ] as const) {
    const leaves = leavesOf(size)
    const { status, body } = addCheckpoint(requestOf(old, leaves), witness)
    assert.equal(status, 200, body)
    const note = noteOf(leaves)
    const text = note.slice(0, note.lastIndexOf('\n\n') + 1)
    assert.deepEqual(openCosignature(text, body, key), { time: 1_700_000_000 })
    assert.equal(openCosignature(`${text}x`, body, key).problem, 'bad_signature')
    // Beside the log's own signature it is one of an unknown key.
    assert.equal(openNote(`${note}${body}`, [verifierOf(log.verifierKey)]).problem, undefined)
  }
})

test('a fork, a smaller tree and a proof of another tree are refused, and nothing of them is kept', () => {
  const witness = newWitness()
  assert.equal(addCheckpoint(requestOf(0, leavesOf(8)), witness).status, 200)
  const fork = leavesOf(12, 7)
  assert.equal(addCheckpoint(requestOf(8, fork), witness).status, 422)
  assert.equal(addCheckpoint(requestOf(8, leavesOf(8, 7)), witness).status, 409)
  const smaller = addCheckpoint(requestOf(5, leavesOf(6)), witness)
  assert.deepEqual([smaller.status, smaller.body, smaller.type], [409, '8\n', 'text/x.tlog.size'])
  assert.equal(addCheckpoint(requestOf(0, fork), witness).status, 409)
  assert.equal(addCheckpoint(`old 9\n\n${noteOf(leavesOf(8))}`, witness).status, 400)
  assert.equal(addCheckpoint(requestOf(8, leavesOf(12)), witness).status, 200)
})

test('only logs that it knows, signed by their key, are witnessed', () => {
  const witness = newWitness()
  const leaves = leavesOf(4)
  const unknown = noteOf(leaves, newSigner('other'), 'other/0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8071')
  assert.equal(addCheckpoint(requestOf(0, leaves, unknown), witness).status, 404)
  assert.equal(addCheckpoint(requestOf(0, leaves, noteOf(leaves, newSigner('prod'))), witness).status, 403)
  assert.equal(addCheckpoint(requestOf(0, leaves), witness).status, 200)
})

test('what is no request is refused, whatever it is', () => {
  const witness = newWitness()
  const note = noteOf(leavesOf(4))
  const hash = Buffer.alloc(32).toString('base64')
  const long = `${hash}\n`.repeat(64)
  for (const request of [
    '',
    'old',
    'old x\n\n',
    `old 01\n\n${note}`,
    `old 0\nAA==\n\n${note}`,
    `old 0\n${long}\n${note}`,
  ])
    assert.equal(addCheckpoint(request, witness).status, 400, request)
  assert.equal(addCheckpoint(`old 0\n${hash}\n\n${note}`, witness).status, 400)
})

test('a store that cannot be read cosigns nothing', () => {
  const directory = mkdtempSync(join(folder, 'damaged-'))
  const witness = { ...newWitness(), store: openWitnessStore(directory) }
  assert.equal(addCheckpoint(requestOf(0, leavesOf(4)), witness).status, 200)
  for (const name of readdirSync(directory)) writeFileSync(join(directory, name), '')
  assert.throws(() => addCheckpoint(requestOf(0, leavesOf(9, 5)), witness), AuditError)
})

test('no byte of a cosignature or of a witness key can be changed', () => {
  const key = witnessKeyOf(own)
  const line = cosign('text\n', 7, own)
  const witness = parseWitnessKey(key)
  assert.ok(!('problem' in witness))
  assert.deepEqual(openCosignature('text\n', line, witness), { time: 7 })
  const flip = (text: string, at: number) =>
    `${text.slice(0, at)}${String.fromCharCode(text.charCodeAt(at) ^ 1)}${text.slice(at + 1)}`
  for (let at = 0; at < line.length; at += 1)
    assert.ok(openCosignature('text\n', flip(line, at), witness).problem !== undefined, `byte ${at}`)
  for (let at = 0; at < key.length; at += 1) assert.ok('problem' in parseWitnessKey(flip(key, at)), `byte ${at}`)
  assert.ok('problem' in parseWitnessKey(own.verifierKey))
})

async function startWitness(t: TestContext, store: string, key: string) {
  const argv = ['witness', '--key', key, '--name', 'w1', '--store', store, '--vkey', log.verifierKey]
  const child = spawn(process.execPath, [mainFile, ...argv, '--listen', '127.0.0.1:0', '--json'])
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  t.after(() => child.kill('SIGKILL'))
  const line = await new Promise<string>((resolve) => child.stdout.setEncoding('utf8').once('data', resolve))
  const { url, witnessKey } = JSON.parse(line) as { url: string; witnessKey: string }
  const post = async (request: string) => {
    const response = await fetch(`${url}/add-checkpoint`, { method: 'POST', body: request })
    return { status: response.status, body: await response.text() }
  }
  return { child, exited, post, url, witnessKey }
}

test('a witness that was killed still refuses a fork of what it cosigned', { timeout: 60_000 }, async (t) => {
  const [store, key] = [join(folder, 'killed'), join(folder, 'w1.key')]
  createKeyFile(key)
  const first = await startWitness(t, store, key)
  const cosigned = await first.post(requestOf(0, leavesOf(8)))
  assert.equal(cosigned.status, 200)
  assert.equal((await fetch(first.url)).status, 404)
  assert.equal((await fetch(`${first.url}/add-checkpoint`)).status, 405)
  const second = await runCli([
    ...['witness', '--key', key, '--name', 'w1', '--store', store, '--vkey', log.verifierKey],
    ...['--listen', '127.0.0.1:0'],
  ])
  assert.deepEqual([second.exitCode, /another witness runs/.test(second.stderr)], [2, true])
  first.child.kill('SIGKILL')
  await first.exited
  const again = await startWitness(t, store, key)
  assert.equal(again.witnessKey, first.witnessKey)
  assert.equal((await again.post(requestOf(8, leavesOf(12, 7)))).status, 422)
  assert.equal((await again.post(requestOf(8, leavesOf(12)))).status, 200)
  again.child.kill('SIGTERM')
  assert.equal(await again.exited, 0)
})
