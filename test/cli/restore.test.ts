/** `otel-audit restore` as an operator uses it: what comes back, for how long, and what does not. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { command } from '../../src/cli/restore.ts'
import { type AgedDatabase, AgedWriter, aged, agedDatabase, keys, streamA } from '../support/aged-trail.ts'
import { migratedDatabase } from '../support/migrated.ts'
import { queryOnce } from '../support/postgres.ts'
import { runCli } from './run.ts'

interface Stage {
  readonly database: AgedDatabase
  readonly directory: string
  readonly archive: string
  readonly writer: AgedWriter
  /** Runs a command, in a process of its own; its exit code and what it printed as JSON. */
  run(...argv: string[]): Promise<{ exitCode: number | null; json: Record<string, unknown>; stderr: string }>
  /** The same in this process, which is quicker. */
  restore(...argv: string[]): Promise<{ exitCode: number; json: Record<string, unknown> }>
  /** The ranges that a database holds. */
  held(url?: string): Promise<string>
  /** With the keys of the trail and of the operations stream. */
  verdictOf(source: string): Promise<string[]>
}

/** A database from which the first half of a stream was removed, into an archive. */
async function stage(t: TestContext): Promise<Stage> {
  const database = await agedDatabase(t)
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-restore-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const archive = join(directory, 'archive')
  const vkeys = join(directory, 'vkeys')
  const run: Stage['run'] = async (...argv) => {
    const words = [...argv, '--json']
    if (/^(?:retain run|restore)/.test(argv.join(' '))) words.push('--operations', join(directory, 'operations'))
    const env = { AUDIT_POSTGRES_URL: database.url, AUDIT_DEPLOYMENT: 'operations' }
    const { exitCode, stdout, stderr } = await runCli(words, env)
    return { exitCode, stderr, json: stdout === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>) }
  }
  const writer = aged(new AgedWriter(streamA, (sequence) => (sequence <= 120 ? 120 : 30)), 200, 15)
  await database.deliver(writer)
  const removed = await run('retain', 'run', '--days', '90', '--archive', archive)
  assert.equal(removed.json.removed, 120, removed.stderr)
  writeFileSync(vkeys, `${keys.signer.verifierKey}\n${removed.json.verifierKey}\n`)
  return {
    database,
    directory,
    archive,
    writer: writer as AgedWriter,
    run,
    async restore(...argv) {
      let stdout = ''
      const write = (text: string): void => {
        stdout += text
      }
      const words = ['--operations', join(directory, 'operations'), '--json', ...argv]
      const env = { AUDIT_POSTGRES_URL: database.url, AUDIT_DEPLOYMENT: 'operations' }
      const exitCode = await command.run(words, { stdout: { write }, stderr: { write: () => {} }, env })
      return { exitCode, json: JSON.parse(stdout) }
    },
    async held(url = database.url) {
      const rows = await queryOnce(
        url,
        `select min(seq) || '-' || max(seq) as range from (
           select seq, seq - row_number() over (order by seq) as island from audit.record where stream = $1
         ) as numbered group by island order by min(seq)`,
        [streamA],
      )
      return rows.map(({ range }) => range).join(' ')
    },
    async verdictOf(source) {
      const { json } = await run('verify', source, '--vkey', vkeys)
      const [report] = json.sources as { verdict: string; findings: { verdict: string; sequence?: number }[] }[]
      return [report?.verdict ?? '', ...(report?.findings ?? []).map((one) => `${one.verdict} ${one.sequence}`)]
    },
  }
}

test('what was removed comes back with what proves it, stays for its days, and goes again', async (t) => {
  const { database, archive, run, restore, held, verdictOf } = await stage(t)
  const whole = await held()
  const restored = await run('restore', archive, '--from', '50', '--to', '60', '--stream', streamA)
  assert.equal(restored.exitCode, 0, restored.stderr)
  const [outcome] = restored.json.streams as { from: number; to: number; restored: number }[]
  const { from = 0, to = 0 } = outcome ?? {}
  assert.ok(from > 17 && from <= 50 && to >= 60 && to < 85, `${from} to ${to}`)
  assert.equal(outcome?.restored, to - from + 1)
  assert.equal(await held(), `${from}-${to} ${whole}`)
  assert.deepEqual(await verdictOf(database.url), ['PRUNED'])
  const again = await restore(archive, '--from', '50', '--to', '60', '--stream', streamA)
  assert.deepEqual([again.exitCode, (again.json.streams as { restored: number }[])[0]?.restored], [0, 0])
  assert.equal((await run('retain', 'status')).json.restored, 1)
  await run('retain', 'run', '--days', '90')
  assert.equal(await held(), `${from}-${to} ${whole}`)
  const [sealed] = await queryOnce(
    database.url,
    `select convert_from(record, 'UTF8')::jsonb -> 'details' as details from audit.record where event_type = 'audit.restored'`,
  )
  const { stream, until, operator, ...said } = { ...(sealed?.details as Record<string, unknown>) }
  assert.deepEqual(said, { from, to, source: archive })
  await queryOnce(database.url, `update audit.partition set restored_until = now() - interval '1 minute'`)
  await run('retain', 'run', '--days', '90')
  assert.equal(await held(), whole)
  assert.deepEqual(await verdictOf(database.url), ['PRUNED'])
})

test('all of it comes back by time, and another database takes it like a delivery', async (t) => {
  const { database, directory, archive, restore, held, verdictOf } = await stage(t)
  const [, last = ''] = (await held()).split('-')
  assert.equal((await restore(archive, '--since', '2020-01-01')).exitCode, 0)
  assert.equal(await held(), `1-${last}`)
  // The trail still says that they were removed, but nothing is missing.
  assert.match((await verdictOf(database.url)).join(), /^(?:INTACT|OPEN_TAIL)$/)
  const { url } = await migratedDatabase(t)
  const elsewhere = await restore(archive, '--url', url, '--stream', streamA, '--operations', join(directory, 'other'))
  const [outcome] = elsewhere.json.streams as { restored: number; delivered: number }[]
  assert.deepEqual([elsewhere.exitCode, outcome?.restored], [0, 0])
  assert.equal(await held(url), `1-${outcome?.delivered}`)
  const nothing = await restore(archive, '--since', '2020-01-01', '--until', '2020-01-02')
  assert.deepEqual([nothing.exitCode, nothing.json.streams], [2, []])
})

test('what is not what was removed is refused, and nothing of it comes back', async (t) => {
  const { archive, directory, writer, restore, held } = await stage(t)
  const whole = await held()
  const { lines } = writer
  const file = join(directory, 'copy.ndjson')
  const refusedOf = async (copy: readonly string[]): Promise<string> => {
    writeFileSync(file, copy.map((line) => `${line}\n`).join(''))
    const { exitCode, json } = await restore(file, '--from', '50', '--to', '60')
    assert.equal(exitCode, 1)
    assert.equal(await held(), whole)
    return (json.streams as { refused: string }[])[0]?.refused ?? ''
  }
  const edited = lines.map((line, at) => (at === 54 ? line.replace('"u-', '"m-') : line))
  assert.match(await refusedOf(edited), /^record 56 of the copy does not follow the one before it$/)
  assert.match(await refusedOf(lines.toSpliced(54, 1)), /^record 55 is missing in the copy$/)
  assert.match(await refusedOf(lines.slice(0, 100)), /^the copy ends before record 120: nothing shows/)
  for (const [argv, expected] of [
    [['-'], /cannot be restored from: it is read twice/],
    [[archive, '--from', '0'], /--from is "0"; allowed: a whole number from 1/],
    [[archive, '--since', 'monday'], /--since is "monday"; allowed: a time/],
    [[join(directory, 'nowhere')], /there is no such file or directory/],
  ] as const) {
    await assert.rejects(restore(...argv), { name: 'AuditError', message: expected })
  }
})
