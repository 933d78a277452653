/** Erasure end to end on a real server: who gets a personal value, who never does, and what is left when it was erased. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAudit } from '../../src/index.ts'
import { createPseudonyms } from '../../src/policy/redaction/pseudonym.ts'
import { migratedDatabase } from '../support/migrated.ts'
import { queryOnce } from '../support/postgres.ts'
import { startCommand, startProgram } from '../support/program.ts'
import { mainFile, runCommand } from './run.ts'

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

/** What the verifier of examples/verify-elsewhere prints; `undefined` where it cannot run. */
function verifyInPython(file: string, key: string): string | undefined {
  const needed = [['python3', '--version'] as const, ['openssl', 'version'] as const]
  if (needed.some(([command, argument]) => spawnSync(command, [argument]).status !== 0)) return undefined
  const keyFile = `${file}.vkey`
  writeFileSync(keyFile, `${key}\n`)
  const script = new URL('../../examples/verify-elsewhere/verify.py', import.meta.url).pathname
  return spawnSync('python3', ['-B', script, file, '--vkey', keyFile], { encoding: 'utf8' }).stdout
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
  const operations = join(directory, 'operations')
  return {
    url,
    operations,
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
      const words = isOperation ? [...argv, '--operations', operations] : argv
      const ended = await runCommand(argv[0] === 'spool' ? words : [...words, '--json'], env)
      assert.ok(!holds(ended.stdout + ended.stderr), 'no command says a personal value unasked')
      return { ...ended, json: argv[0] !== 'spool' && ended.exitCode !== 2 ? JSON.parse(ended.stdout) : {} }
    },
    /** The verdict over the database, by the keys of the application and of the operator. */
    async verify(keys: string[]) {
      writeFileSync(vkeys, `${keys.join('\n')}\n`)
      const { stdout } = await runCommand(['verify', url, '--vkey', vkeys, '--json'])
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
  const elsewhere = verifyInPython(join(copies, 'audit.ndjson'), audit.verifierKey)
  if (elsewhere === undefined) t.diagnostic('not verified in Python: needs python3 and openssl')
  else assert.match(elsewhere, /^(?:INTACT|OPEN_TAIL)/m)
})

test('erasing takes the values of one person, seals that, and the trail verifies', async (t) => {
  const { options, url, spool, operations, connection, disclosed, run, verify } = await stage(t)
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

  // Killed as soon as something is gone: what is not sealed then, the next run names.
  const { pseudonymOf } = createPseudonyms(pseudonymKey)
  const both = ['u-1', 'g-7'].flatMap((subject) => ['--subject', pseudonymOf(subject)])
  const words = ['erase', ...both, ...why, '--url', url, '--operations', operations]
  const killed = startCommand(t, [process.execPath, mainFile, ...words])
  const isOver = killed.ended.then(() => true)
  const look = () => connection.query('select from audit.erasure').then(({ rows }) => rows.length > 0)
  while (!(await look())) assert.notEqual(await Promise.race([isOver, 'it runs']), true, killed.complaints)
  process.kill(killed.pid, 'SIGKILL')
  await killed.ended

  const done = await run(...erase, ...why, '--spool', spool)
  assert.deepEqual([done.exitCode, done.json.outcome, done.json.isClear], [1, 'erased', false], done.stderr)
  assert.deepEqual(
    (await disclosed()).map(({ value }) => value),
    ['Trillian'],
  )
  const { rows } = await connection.query<{ details: { subject_digests: string[]; why: string } }>(
    `select audit.record_json(record) -> 'details' as details from audit.record where event_type = 'audit.erased'`,
  )
  const digests = new Set(rows.flatMap(({ details }) => details.subject_digests))
  assert.deepEqual([digests.size, rows[0]?.details.why], [6, 'request 4711'])
  const shown = await run('query', url, '--actor', 'u-2', '--disclose')
  assert.deepEqual(shown.json.disclosed, { '/actor/name': 'Trillian' }, shown.stderr)
  await audit.close()
  const verified = await verify([audit.verifierKey, String(done.json.verifierKey)])
  // The run that was killed may have left a stream without a checkpoint.
  const found = verified.findings.filter((one: { verdict: string }) => one.verdict !== 'UNANCHORED')
  assert.deepEqual(found, [])
  assert.ok(verified.observations.some((one: { verdict: string }) => one.verdict === 'ERASED'))
  const again = await run(...erase, ...why)
  assert.deepEqual([again.exitCode, again.json.erased, again.json.sealed], [0, 0, 0], again.stderr)
})

test('a value vanishes from the spool with its segment, and erase says so', async (t) => {
  const { options, spool, run } = await stage(t)
  const audit = createAudit({ ...options, spool: { directory: spool, bytesMax: 2 ** 20, keepMinutes: 0 } })
  audit.emit(event)
  await audit.flush()
  assert.notEqual(holdingFiles(spool).length, 0)
  const plain = { action: 'booking.list', details: { text: 'x'.repeat(8_000) } }
  // Segments of 128 KiB: what they hold is given back once it is delivered and another one was begun.
  for (let round = 0; holdingFiles(spool).length > 0; round += 1) {
    assert.ok(round < 500, 'the segment stays')
    for (let count = 0; count < 10; count += 1) audit.emit(plain)
    await audit.flush()
  }
  await audit.close()
  const done = await run('erase', '--subject', 'u-1', '--why', 'request 1', '--spool', spool)
  assert.deepEqual([done.exitCode, done.json.outcome, done.json.isClear], [0, 'erased', true], done.stderr)
})
