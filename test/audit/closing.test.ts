/** `close` is bounded whatever is dead, is once, and what it could not bring away is sent at the next start. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type AuditOptions, createAudit } from '../../src/index.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { recordsAt } from '../support/delivered.ts'
import { type OtlpBackend, startOtlpBackend } from '../support/otlp-backend.ts'
import { startCommand, startProgram } from '../support/program.ts'
import { eventsIn, freshFolder, openAudit, recordsIn } from './opened.ts'

async function backendFor(t: TestContext): Promise<OtlpBackend> {
  const backend = await startOtlpBackend()
  t.after(() => backend.close())
  return backend
}

function idsAt(backend: OtlpBackend): string[] {
  return recordsAt(backend).map((record) => (JSON.parse(record) as { id: string }).id)
}

function otlp(endpoint: string): AuditOptions {
  return { destinations: [{ type: 'otlp', endpoint, protocol: 'http/json' }] }
}

test('close with 10,000 records and a dead destination ends, and the next start sends them all', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, otlp('http://127.0.0.1:9'))
  const ids = Array.from({ length: 10_000 }, (_, at) => audit.emit({ action: `a${at}` })).map((receipt) =>
    receipt.status === 'written' ? receipt.id : assert.fail(receipt.status),
  )
  await audit.close()
  assert.equal(viewSpool(diskFiles, join(folder, 'spool')).state.clean, true)
  const backend = await backendFor(t)
  const next = openAudit(folder, otlp(backend.url))
  await next.flush()
  await next.close()
  const delivered = new Set(idsAt(backend))
  assert.equal(ids.filter((id) => !delivered.has(id)).length, 0)
})

test('close with a destination that accepts connections and never answers ends', async (t) => {
  const folder = freshFolder(t)
  const backend = await backendFor(t)
  backend.respond = () => {}
  const audit = openAudit(folder, otlp(backend.url))
  audit.emit({ action: 'a' })
  await audit.close()
  assert.deepEqual(
    eventsIn(folder).map((record) => record.action),
    ['a'],
  )
})

test('close is once, however often and however fast it is called', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  audit.emit({ action: 'a' })
  const first = audit.close()
  assert.equal(audit.close(), first)
  assert.equal(audit[Symbol.asyncDispose](), first)
  await first
  await audit.close()
  const closed = recordsIn(folder).filter((record) => record.event_type === 'audit.stream.closed')
  assert.equal(closed.length, 1)
})

test('what was emitted before close returned is in the stream, ahead of its end', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  for (let at = 0; at < 1_000; at += 1) audit.emit({ action: `a${at}` })
  const closing = audit.close()
  assert.equal(audit.emit({ action: 'late' }).status, 'emergency')
  await closing
  const own = recordsIn(folder).filter((record) => record.event_type !== 'audit.checkpoint')
  assert.equal(own.length, 1_002)
  assert.equal(own.at(-1)?.event_type, 'audit.stream.closed')
})

test('after close the directory is free, for the same process too', async (t) => {
  const folder = freshFolder(t)
  await openAudit(folder).close()
  await openAudit(folder).close()
  assert.equal(recordsIn(folder).filter((record) => record.event_type === 'audit.stream.opened').length, 2)
})

const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0
const dying = [
  ['hangs', 'delay_enter=60000000'],
  ['fails', 'error=EIO'],
] as const

for (const [how, injection] of dying) {
  test(`close on a disk whose syncs ${how === 'hangs' ? 'hang' : 'fail'} ends, keeps what was written, and calls nothing closed`, {
    skip: canTrace ? false : 'needs strace',
    timeout: 60_000,
  }, async (t) => {
    const folder = freshFolder(t)
    const directory = join(folder, 'spool')
    await openAudit(folder).close()
    const program = startProgram(
      t,
      `const audit = createAudit({ service: 'billing', policy: { level: 'all' }, closeTimeoutMs: 300,
         spool: { directory: ${JSON.stringify(directory)} } })
       await audit.emit({ action: 'first' }).durable
       console.log('ready')
       process.stdin.once('data', async () => {
         for (let at = 0; at < 100; at += 1) console.log(audit.emit({ action: 'a' + at }).status, 'a' + at)
         await audit.close()
         console.log('closed')
       })`,
    )
    await program.line('ready')
    const tracer = startCommand(t, [
      'sh',
      '-c',
      `exec strace -f -p ${program.pid} -e inject=fdatasync:${injection} 2>&1`,
    ])
    await tracer.line('strace: Process')
    program.say('go')
    await program.line('closed')
    await Promise.all([program.kill('SIGKILL'), tracer.kill('SIGKILL')])
    assert.ok(program.all('written').length > 0)
    assert.equal(viewSpool(diskFiles, directory).state.clean, false)
    const again = createAudit({ service: 'billing', spool: { directory }, policy: { level: 'all' } })
    await again.close()
    assert.deepEqual(
      eventsIn(folder).map((record) => record.action),
      ['first', ...program.all('written')],
    )
  })
}
