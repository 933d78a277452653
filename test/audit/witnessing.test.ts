/** A trail and its witnesses: real processes of `otel-audit witness`, stopped, restarted and lied to. */

import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Witnessing } from '../../src/audit/witnessing.ts'
import { createKeyFile } from '../../src/chain/keys.ts'
import { parseVerifierKey } from '../../src/chain/note.ts'
import { type Audit, createAudit } from '../../src/index.ts'
import { createSpoolSource } from '../../src/verify/sources/spool.ts'
import { parseTrust } from '../../src/verify/trust-file.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { mainFile, runCli } from '../cli/run.ts'
import { Program } from '../support/program.ts'
import { copySpool, restoreInPlace } from '../support/spool-copy.ts'
import { freshFolder, openAudit, recordsIn } from './opened.ts'

interface Place {
  readonly folder: string
  readonly vkey: string
  /** The trail's key, outside of its spool. */
  readonly keys: { readonly signingKeyFile: string }
}

async function freshPlace(t: TestContext): Promise<Place> {
  const folder = freshFolder(t)
  const signingKeyFile = join(folder, 'audit.key')
  createKeyFile(signingKeyFile)
  createKeyFile(join(folder, 'witness.key'))
  const { stdout } = await runCli(['key', 'public', signingKeyFile, '--name', 'billing'])
  return { folder, vkey: stdout.trim(), keys: { signingKeyFile } }
}

interface RunningWitness {
  readonly url: string
  readonly vkey: string
  readonly program: Program
}

async function startWitness(t: TestContext, { folder, vkey }: Place, listen = '127.0.0.1:0'): Promise<RunningWitness> {
  const own = ['--key', join(folder, 'witness.key'), '--name', 'w1', '--store', join(folder, 'store')]
  const argv = [process.execPath, mainFile, 'witness', ...own, '--vkey', vkey, '--listen', listen, '--json']
  const program = new Program(argv)
  t.after(() => program.kill('SIGKILL'))
  const { url, witnessKey } = JSON.parse(`{${await program.line('{')}`) as { url: string; witnessKey: string }
  return { url, vkey: witnessKey, program }
}

function open({ folder, keys }: Place, witness: { url: string; vkey: string }): Audit {
  return openAudit(folder, {
    keys,
    witnesses: [{ url: witness.url, vkey: witness.vkey, intervalSeconds: 1 }],
    closeTimeoutMs: 5_000,
  })
}

/** Resolves when the state of the witness is as it is wanted. */
async function until(audit: Audit, isThere: (witness: Audit['state']['witnesses'][number]) => boolean): Promise<void> {
  for (;;) {
    const [witness] = audit.state.witnesses
    if (witness !== undefined && isThere(witness)) return
    await sleep(10)
  }
}

async function emit(audit: Audit, count = 1): Promise<void> {
  for (let left = count; left > 1; left -= 1) audit.emit({ action: 'invoice.delete' })
  await audit.emit({ action: 'invoice.delete' }).durable
}

async function verify({ folder, vkey }: Place, witness: { vkey: string }) {
  const trust = parseTrust(JSON.stringify({ keys: [{ key: vkey }], witnesses: { keys: [witness.vkey] } }))
  assert.ok(typeof trust !== 'string', String(trust))
  const verifier = parseVerifierKey(vkey)
  assert.ok(!('problem' in verifier))
  return verifySource(createSpoolSource(join(folder, 'spool')), { verifiers: [verifier], trust })
}

const timeout = 60_000

test('what a witness cosigns is sealed and proves itself, through restarts of both', { timeout }, async (t) => {
  const place = await freshPlace(t)
  const first = await startWitness(t, place)
  const audit = open(place, first)
  await emit(audit, 20)
  await until(audit, ({ condition, size }) => condition === 'ok' && size > 20)
  assert.deepEqual(audit.state.witnesses[0]?.stream, audit.state.stream)

  // Down: nothing waits for it, and it is said.
  first.program.kill('SIGKILL')
  await first.program.ended
  await emit(audit, 300)
  await until(audit, ({ condition }) => condition === 'failing')
  assert.equal(audit.state.ready, true)
  const again = await startWitness(t, place, new URL(first.url).host)
  await until(audit, ({ condition, size }) => condition === 'ok' && size > 300)
  await audit.close()
  const { sequence } = audit.state

  // The last checkpoint was cosigned while the trail closed: the next opening seals that.
  const reopened = open(place, again)
  await emit(reopened)
  await until(reopened, ({ size }) => size > sequence)
  await reopened.close()
  const sizes = recordsIn(place.folder).flatMap(({ action, details }) =>
    action === 'audit.anchored' ? [details?.size] : [],
  )
  assert.ok(sizes.length >= 4, sizes.join())
  const report = await verify(place, again)
  assert.deepEqual([report.verdict, report.findings], ['INTACT', []])
  assert.ok((report.streams[0]?.witnessedTo ?? 0) >= Math.max(...sizes.map(Number)) - 1)

  // Without what was kept of it, the spool itself tells what leads on from there.
  rmSync(join(place.folder, 'spool', 'witnesses'))
  const forgetful = open(place, again)
  await emit(forgetful, 5)
  await until(forgetful, ({ condition }) => condition === 'ok')
  assert.equal(forgetful.state.witnesses[0]?.lastError, undefined)
})

test('a spool that was restored from an older copy goes on in a new stream, because the witness is ahead', {
  timeout,
}, async (t) => {
  const place = await freshPlace(t)
  const witness = await startWitness(t, place)
  const audit = open(place, witness)
  await emit(audit, 5)
  await until(audit, ({ condition }) => condition === 'ok')
  const copy = copySpool(join(place.folder, 'spool'))
  const before = new Map([...copy].filter(([name]) => !name.endsWith('.tmp')))
  await emit(audit, 50)
  await until(audit, ({ size }) => size > 50)
  await audit.close()
  const { stream } = audit.state
  restoreInPlace(before, join(place.folder, 'spool'))
  const restored = open(place, witness)
  await emit(restored, 3)
  while (restored.state.stream === stream) {
    await sleep(10)
    restored.emit({ action: 'invoice.delete' })
  }
  await until(restored, ({ condition, stream: cosigned }) => condition === 'ok' && cosigned === restored.state.stream)
  const opening = recordsIn(place.folder).findLast(({ action }) => action === 'audit.stream.opened')
  const { predecessor, ahead } = (opening?.details ?? {}) as { predecessor: object; ahead: { witness: string } }
  assert.deepEqual((predecessor as { reason: string }).reason, 'ahead')
  assert.match(ahead.witness, /^w1\+/)
})

test('a witness with another key, or one that only says that it is ahead, disturbs nothing but its own state', {
  timeout,
}, async (t) => {
  const place = await freshPlace(t)
  const witness = await startWitness(t, place)
  const other = { url: witness.url, vkey: (await startLiar(t, place)).vkey }
  const audit = open(place, other)
  await emit(audit)
  await until(audit, ({ condition }) => condition === 'failing')
  assert.match(audit.state.witnesses[0]?.lastError ?? '', /holds no cosignature by liar\+/)
  await audit.close()
  const liar = await startLiar(t, place)
  const lied = open(place, liar)
  const streams = new Set<string>()
  for (let times = 0; times < 150; times += 1) {
    await emit(lied)
    streams.add(lied.state.stream)
    await sleep(10)
  }
  assert.equal(streams.size, 2) // one new stream, and then it is believed no more
})

/** It claims of every stream to have cosigned more. */
async function startLiar(t: TestContext, { folder }: Place): Promise<{ url: string; vkey: string }> {
  const key = join(folder, 'liar.key')
  createKeyFile(key)
  const program = new Program([
    ...[
      process.execPath,
      mainFile,
      'witness',
      '--key',
      key,
      '--name',
      'liar',
      '--store',
      join(folder, `liar-${Date.now()}`),
    ],
    ...[
      '--vkey',
      (await runCli(['key', 'public', key, '--name', 'x'])).stdout.trim(),
      '--listen',
      '127.0.0.1:0',
      '--json',
    ],
  ])
  t.after(() => program.kill('SIGKILL'))
  const { witnessKey } = JSON.parse(`{${await program.line('{')}`) as { witnessKey: string }
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    request.resume()
    response.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end('1000000\n')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, vkey: witnessKey }
}

test('a key that is none of a witness is refused with the setting', () => {
  const key = 'prod+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
  const witnesses = [{ url: 'http://127.0.0.1:1', vkey: key }]
  assert.throws(
    () => createAudit({ witnesses }),
    (thrown: Error) => /witnesses.*vkey.*not that of a witness/s.test(thrown.message),
  )
})

test('a checkpoint whose stream ends while it is sealed is dropped, and not sealed in the next one', () => {
  const sealed: string[] = []
  let head = { stream: 'one', sequence: 7 }
  let isNextReady = false
  const witnessing = new Witnessing({
    sealer: {
      get head() {
        return head
      },
      isClosed: false,
      proceed() {
        if (isNextReady) head = { stream: 'two', sequence: 1 }
      },
      sealFact: ({ type }) => sealed.push(`${type} in ${head.stream}`) > 0,
      startStream() {},
    },
    config: { signer: undefined, witnesses: [], anchors: { git: false, intervalMinutes: 0 } },
    worker: new URL('file:///none'),
    spool: { directory: '', memory: new SharedArrayBuffer(0) },
  })
  witnessing.take({ note: '', frontier: [] }, 7)
  isNextReady = true
  witnessing.take({ note: '', frontier: [] }, 7)
  assert.deepEqual(sealed, ['audit.checkpoint in one'])
})
