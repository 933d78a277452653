/** Erasure end to end on a real server: who gets a personal value, who never does, and what is left when it was erased. */

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAudit } from '../../src/index.ts'
import { migratedDatabase } from '../support/migrated.ts'
import { queryOnce } from '../support/postgres.ts'
import { startProgram } from '../support/program.ts'
import { runCli } from './run.ts'

const pseudonymKey = 'a key of this test only'
/** Stands nowhere but where it may. */
const name = 'Zaphod Beeblebrox of Betelgeuse'
const personal = ['/actor/name', { pointer: '/details/guest', subject: '/details/guest_id' }]
const event = {
  action: 'booking.create',
  operation: 'create',
  actor: { type: 'user', id: 'u-1', name },
  details: { guest: { name, of: name }, guest_id: 'g-7' },
} as const

/** The name as it stands, and in base64 wherever it begins there. */
const forms = [name, ...[0, 1, 2].map((shift) => base64At(shift))]

function base64At(shift: number): string {
  const text = Buffer.from('x'.repeat(shift) + name).toString('base64url')
  return text.slice(shift === 0 ? 0 : 4, -4)
}

function holds(bytes: string | Buffer): boolean {
  return forms.some((form) => bytes.includes(form))
}

function filesIn(directory: string): string[] {
  const all = readdirSync(directory, { recursive: true, withFileTypes: true })
  return all.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
}

function holdingFiles(directory: string): string[] {
  return filesIn(directory).filter((path) => holds(readFileSync(path)))
}

async function stage(t: TestContext) {
  const { url, connection } = await migratedDatabase(t)
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-erase-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const spool = join(directory, 'spool')
  const file = join(directory, 'copies', 'audit.ndjson')
  mkdirSync(join(directory, 'copies'))
  const options = {
    service: 'booking',
    deployment: 'prod',
    spool: { directory: spool },
    policy: { level: 'all' },
    redact: { personal, pseudonymKey },
    retention: { enabled: false },
    destinations: [
      { type: 'file', path: file },
      { type: 'postgres', url },
    ],
  } as const
  const env = { AUDIT_POSTGRES_URL: url, AUDIT_DEPLOYMENT: 'prod', AUDIT_REDACT_PSEUDONYM_KEY: pseudonymKey }
  const vkeys = join(directory, 'vkeys')
  return {
    url,
    connection,
    directory,
    spool,
    options,
    vkeys,
    copies: join(directory, 'copies'),
    disclosed: () => queryOnce(url, 'select pointer, value, subject from audit.disclosed order by seq, pointer'),
    /** A command in the environment of an operator. */
    async run(...argv: string[]) {
      const isOperation = argv[0] === 'erase' || argv[0] === 'hold'
      const words = isOperation ? [...argv, '--operations', join(directory, 'operations')] : argv
      const ended = await runCli(argv[0] === 'spool' ? words : [...words, '--json'], env)
      assert.ok(!holds(ended.stdout + ended.stderr), 'no command says a personal value unasked')
      return { ...ended, json: argv[0] !== 'spool' && ended.exitCode !== 2 ? JSON.parse(ended.stdout) : {} }
    },
    /** The verdict over the database, by the keys of the application and of the operator. */
    async verify(keys: string[]) {
      writeFileSync(vkeys, `${keys.join('\n')}\n`)
      const { stdout } = await runCli(['verify', url, '--vkey', vkeys, '--json'])
      const { verdict, sources } = JSON.parse(stdout)
      return { verdict, findings: sources[0].findings, observations: sources[0].observations }
    },
  }
}

test('a value survives SIGKILL beside its record, reaches the database, and nobody else ever gets it', async (t) => {
  const { options, spool, copies, directory, disclosed, run } = await stage(t)
  const nowhere = { type: 'postgres', url: 'postgres://nobody@127.0.0.1:1/none' } as const
  const away = { ...options, destinations: [options.destinations[0], { type: 'stdout' }, nowhere] }
  const service = startProgram(
    t,
    `const ended = createAudit({ ...${JSON.stringify(options)}, destinations: [], spool: { directory: ${JSON.stringify(join(directory, 'ended'))} } })
    await ended.close()
    ended.emit(${JSON.stringify(event)})
    const audit = createAudit(${JSON.stringify(away)})
    audit.emit(${JSON.stringify(event)})
    await audit.emitRequired(${JSON.stringify(event)}, { until: 'file' })
    audit.emit(${JSON.stringify(event)})
    console.log('emitted')
    setInterval(() => {}, 1_000)`,
  )
  await Promise.all([service.line('emitted'), service.line('{"action":"booking.create"')])
  process.kill(service.pid, 'SIGKILL')
  await service.ended
  assert.match(service.complaints, /"action":"booking.create"/, 'the event after the end took the emergency path')
  assert.ok(service.lines.some((line) => line.includes('"commitments"')))
  assert.ok(!holds(service.lines.join('\n') + service.complaints))
  assert.deepEqual(holdingFiles(copies), [])
  assert.ok(holdingFiles(spool).every((path) => path.endsWith('.wal')))
  assert.notEqual(holdingFiles(spool).length, 0, 'else this test would see nothing')

  const audit = createAudit(options)
  await audit.flush()
  await audit.close()
  const rows = await disclosed()
  assert.equal(rows.length, 6)
  assert.deepEqual(
    rows.slice(0, 2).map(({ pointer, value }) => [pointer, value]),
    [
      ['/actor/name', name],
      ['/details/guest', event.details.guest],
    ],
  )
  const exported = await run('spool', 'export', spool)
  assert.equal(exported.exitCode, 0, exported.stderr)
  const archived = await run('archive', spool, '--out', join(copies, 'archive'))
  assert.equal(archived.exitCode, 0, archived.stderr)
  assert.deepEqual(holdingFiles(copies), [])
})

test('erasing takes the values of one person, seals that, and the trail verifies', async (t) => {
  const { options, spool, connection, disclosed, run, verify } = await stage(t)
  const audit = createAudit(options)
  for (let count = 0; count < 3; count += 1) audit.emit(event)
  audit.emit({ ...event, actor: { type: 'user', id: 'u-2', name: 'Trillian' }, details: {} })
  await audit.flush()

  const erase = ['erase', '--subject', 'u-1', '--subject', 'g-7']
  const why = ['--why', 'request 4711']
  const planned = await run(...erase, '--dry-run')
  assert.deepEqual(
    [planned.exitCode, planned.json.outcome, planned.json.disclosures],
    [0, 'planned', 6],
    planned.stderr,
  )
  const named = await run('erase', '--subject', 'u-1', '--why', 'u-1 asked for it')
  assert.deepEqual([named.exitCode, /--why names the subject/.test(named.stderr)], [2, true])

  const placed = await run('hold', 'add', '--actor', 'u-1', '--why', 'case 1')
  assert.equal(placed.exitCode, 0, placed.stderr)
  const refused = await run(...erase, ...why)
  assert.deepEqual([refused.exitCode, refused.json.outcome, refused.json.holds], [1, 'held', [1]], refused.stderr)
  assert.equal((await disclosed()).length, 7)
  assert.equal((await run('hold', 'release', '1', '--why', 'case 1 closed')).exitCode, 0)

  const done = await run(...erase, ...why, '--spool', spool)
  const { outcome, erased, sealed, isClear } = done.json
  assert.deepEqual([done.exitCode, outcome, erased, sealed, isClear], [1, 'erased', 6, 6, false], done.stderr)
  assert.deepEqual(
    (await disclosed()).map(({ value }) => value),
    ['Trillian'],
  )
  const { rows } = await connection.query<{ details: Record<string, unknown> }>(
    `select audit.record_json(record) -> 'details' as details from audit.record where event_type = 'audit.erased'`,
  )
  assert.deepEqual(
    rows.map(({ details }) => [details.count, details.why]),
    [[6, 'request 4711']],
  )
  await audit.close()
  const verified = await verify([audit.verifierKey, String(done.json.verifierKey)])
  assert.deepEqual(verified.findings, [])
  assert.ok(verified.observations.some((one: { verdict: string }) => one.verdict === 'ERASED'))
  const again = await run(...erase, ...why)
  assert.deepEqual([again.exitCode, again.json.erased, again.json.sealed], [0, 0, 0], again.stderr)
})
