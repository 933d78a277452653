/** A trail that anchors its checkpoints while it runs: real places, one that is away, and one with nothing new to say. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Registry } from 'prom-client'
import { Anchoring } from '../../src/audit/anchoring.ts'
import { readOptionsAndEnvironment } from '../../src/audit/read-config.ts'
import { workerModule } from '../../src/audit/threads.ts'
import { useClocks } from '../../src/clock.ts'
import type { ControlFact } from '../../src/event/record.ts'
import { type Audit, createAudit } from '../../src/index.ts'
import { startFileServer } from '../support/file-server.ts'
import { startAuthority } from '../support/timestamp-authority.ts'
import { freshFolder, openAudit, recordsIn } from './opened.ts'

const timeout = 60_000
const intervalMinutes = 0.002

/** Resolves when every place is as it is wanted. */
async function until(audit: Audit, isThere: (place: Audit['state']['anchors'][number]) => boolean): Promise<void> {
  while (!audit.state.anchors.every(isThere)) await sleep(10)
}

function makeRepository(directory: string): (...argv: string[]) => string {
  mkdirSync(directory)
  const git = (...argv: string[]) => execFileSync('git', ['-C', directory, ...argv]).toString()
  git('init', '-q')
  git('config', 'user.email', 'service@example.com')
  git('config', 'user.name', 'service')
  return git
}

test('a running trail puts its checkpoints into every place, and seals what was done', { timeout }, async (t) => {
  const folder = freshFolder(t)
  const directory = join(folder, 'anchors')
  const git = makeRepository(directory)
  const [{ url: tsa, openssl }, server] = [await startAuthority(t, folder), await startFileServer(t)]
  const registry = new Registry()
  const anchors = { directory, git: true, tsa, url: server.url, intervalMinutes }
  const audit = openAudit(folder, { anchors, metrics: { registry } })
  await audit.emit({ action: 'invoice.delete' }).durable
  await until(audit, ({ condition }) => condition === 'ok')
  const metrics = await registry.metrics()
  for (const kind of ['timestamp', 'git', 'http']) {
    assert.match(metrics, new RegExp(`^audit_anchor_last_success_timestamp_seconds\\{kind="${kind}"\\} 1\\d{9}$`, 'm'))
    assert.match(metrics, new RegExp(`^audit_anchor_failures_total\\{kind="${kind}"\\} 0$`, 'm'))
  }
  await audit.close()

  const records = recordsIn(folder)
  const notes = new Map(
    records.flatMap(({ action, details }) => {
      const note = action === 'audit.checkpoint' ? String(details?.note) : ''
      return note === '' ? [] : [[Number(note.split('\n')[1]), note] as const]
    }),
  )
  const done = records.flatMap(({ action, details }) => (action === 'audit.anchored' && details ? [details] : []))
  assert.deepEqual(new Set(done.map(({ kind }) => kind)), new Set(['timestamp', 'git', 'http']))
  for (const { kind, size, root, stream, token } of done) {
    const note = notes.get(Number(size)) ?? ''
    assert.equal(note.split('\n')[2], root)
    if (kind === 'http') assert.equal(server.files.get(`/${stream}-${size}.checkpoint`), note)
    if (kind === 'git') assert.equal(git('show', `${token}:${stream}-${size}.checkpoint`), note)
    if (kind === 'git') assert.ok(git('show', '--name-only', String(token)).includes(`${stream}-${size}.tsr`))
    if (kind !== 'timestamp') continue
    // From the trail alone, without the folder.
    writeFileSync(join(folder, 'note'), note)
    writeFileSync(join(folder, 'token'), Buffer.from(String(token), 'base64'))
    openssl('ts', '-verify', '-data', 'note', '-in', 'token', '-CAfile', 'ca.pem')
  }
})

test('a place that is away is said once, keeps no other waiting, and is asked again', { timeout }, async (t) => {
  const folder = freshFolder(t)
  const server = await startFileServer(t)
  server.status = 503
  const registry = new Registry()
  const anchors = { directory: join(folder, 'anchors'), url: server.url, intervalMinutes }
  const audit = openAudit(folder, { anchors, metrics: { registry } })
  await audit.emit({ action: 'invoice.delete' }).durable
  await until(audit, ({ kind, failures, condition }) => (kind === 'http' ? failures > 1 : condition === 'ok'))
  const http = audit.state.anchors.find(({ kind }) => kind === 'http')
  assert.deepEqual([http?.condition, http?.lastError], ['failing', 'HTTP status 503'])
  assert.match(await registry.metrics(), /^audit_anchor_failures_total\{kind="http"\} [1-9]/m)
  assert.equal(audit.state.ready, true)
  server.status = 201
  await until(audit, ({ condition }) => condition === 'ok')
  await audit.close()
  assert.ok(server.files.size > 0)
  assert.ok(readdirSync(anchors.directory).length > 0)
})

test('what nothing has happened after is not anchored again, and nothing once it has stopped', {
  timeout,
}, async (t) => {
  const directory = join(freshFolder(t), 'anchors')
  const pending: { delayMs: number; call: () => void }[] = []
  const after = (delayMs: number, call: () => void) => {
    pending.push({ delayMs, call })
    return () => {}
  }
  t.after(useClocks({ after }))
  const head = { stream: 's', sequence: 6 }
  const sealed: ControlFact[] = []
  const sealer = {
    head,
    isClosed: false,
    sealFact: (fact: ControlFact) => {
      head.sequence += 1
      return sealed.push(fact) > 0
    },
  }
  const parts = { worker: workerModule(undefined), places: { directory, git: false }, intervalMinutes: 60, sealer }
  const anchoring = new Anchoring(parts)
  const noteOf = (size: number) => `prod/s\n${size}\nAAAA\n\n— prod AAAA\n`
  const pass = (delayMs: number) => {
    const next = pending.shift()
    assert.equal(next?.delayMs, delayMs)
    next?.call()
  }
  const reached = async (size: number) => {
    while (anchoring.states[0]?.size !== size || pending.length === 0) await sleep(5)
  }
  anchoring.take(noteOf(5)) // its record is the sixth, and the seventh says that it was anchored
  pass(60_000)
  await reached(5)
  anchoring.take(noteOf(7))
  pass(3_600_000)
  head.sequence = 12
  anchoring.take(noteOf(10))
  await reached(10)
  assert.ok(!existsSync(join(directory, 's-7.checkpoint')))
  assert.equal(readFileSync(join(directory, 's-10.checkpoint'), 'utf8'), noteOf(10))
  assert.deepEqual(
    sealed.map(({ type, details }) => [type, details.kind, details.name, details.size]),
    [5, 10].map((size) => ['audit.anchored', 'file', 'anchors', size]),
  )
  // Two more records stood behind that checkpoint: what has come since is anchored, though nothing else happens.
  anchoring.take(noteOf(13))
  pass(3_600_000)
  await reached(13)
  anchoring.stop()
  pass(3_600_000)
  assert.equal(pending.length, 0)
})

test('what cannot be meant is refused with the setting', () => {
  const refused = (anchors: object) => {
    try {
      createAudit({ anchors })
    } catch (thrown) {
      return (thrown as Error).message
    }
    throw new Error('it was taken')
  }
  assert.match(refused({ git: true }), /anchors\.git.*anchors\.directory names no folder/s)
  assert.match(refused({ tsa: 'tsa.example.com' }), /anchors\.tsa.*https:\/\//s)
  assert.match(refused({ intervalMinutes: -1 }), /anchors\.intervalMinutes/)
  // Each source may give a part of it.
  const env = { AUDIT_ANCHORS_GIT: 'true' }
  assert.throws(() => readOptionsAndEnvironment({}, env), /AUDIT_ANCHORS_GIT is true.*names no folder/)
  const { anchors } = readOptionsAndEnvironment({ anchors: { directory: 'anchors' } }, env)
  assert.deepEqual([anchors.git, anchors.directory, anchors.intervalMinutes], [true, 'anchors', 1_440])
})
