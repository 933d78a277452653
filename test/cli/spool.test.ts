/** `otel-audit spool` as an operator runs it: a spool that is whole, one that is damaged, and the way out of it. */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { command } from '../../src/cli/spool.ts'
import {
  AuditError,
  type SpoolCheck,
  type SpoolDestinations,
  type SpoolRepair,
  type SpoolStatus,
} from '../../src/index.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { readWindows } from '../../src/spool/running-counts.ts'
import { freshFolder, openAudit, recordsIn } from '../audit/opened.ts'
import { contentsOf, flip } from '../spool/damage.ts'
import { type Ended, runCli } from './run.ts'

interface Left {
  readonly folder: string
  readonly spool: string
  readonly key: string
}

const file = (folder: string, name: string) => ({ type: 'file', name, path: join(folder, `${name}.ndjson`) }) as const

/** A closed spool with five events, delivered to a file. */
async function closedSpool(t: TestContext, names: readonly string[] = ['trail']): Promise<Left> {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { destinations: names.map((name) => file(folder, name)) })
  for (let number = 1; number <= 5; number += 1) audit.emit({ action: `action.${number}` })
  await audit.flush()
  await audit.close()
  return { folder, spool: join(folder, 'spool'), key: audit.verifierKey }
}

/** Changes a bit in the middle of a record. */
function damage({ spool }: Left, action: string): void {
  const path = join(spool, 'seg-00000001.wal')
  flip(path, readFileSync(path).indexOf(action) + 3)
}

function run(...argv: readonly string[]): Promise<Ended> {
  return runCli(['spool', ...argv])
}

async function reportOf<Report>(...argv: readonly string[]): Promise<Report> {
  const { stdout } = await run(...argv, '--json')
  assert.equal(stdout.split('\n').length, 2, 'one line')
  return JSON.parse(stdout) as Report
}

test('a whole spool is said to be whole, and there is nothing to repair', async (t) => {
  const { spool } = await closedSpool(t)
  const checked = await run('check', spool)
  assert.equal(checked.exitCode, 0, checked.stdout)
  assert.match(checked.stdout, /^.*spool: whole, \d+ records\n$/)
  const report = await reportOf<SpoolCheck>('check', spool)
  assert.deepEqual([report.verdict, report.findings, report.recordsBehind], ['whole', [], 0])
  const repaired = await run('repair', spool, '--accept-loss')
  assert.equal(repaired.exitCode, 0)
  assert.match(repaired.stdout, /whole, nothing to repair/)
})

test('damage is named with what it means and what to do, and nothing is written', async (t) => {
  const left = await closedSpool(t)
  damage(left, 'action.3')
  const before = contentsOf(left.spool)
  const { exitCode, stdout } = await run('check', left.spool)
  assert.equal(exitCode, 1)
  assert.match(
    stdout,
    /damaged, 1 finding of damage\n {2}corrupt segment 1 offset \d+: sequence 4 is damaged or missing/,
  )
  assert.match(stdout, /means .*\n.*do .*otel-audit spool repair .* --accept-loss\n/)
  assert.match(stdout, /3 whole records before the damage, the last of them sequence 3 /)
  const { findings, lastWhole, verdict } = await reportOf<SpoolCheck>('check', left.spool)
  assert.deepEqual([verdict, lastWhole?.sequence], ['damaged', 3])
  assert.deepEqual(
    findings.map(({ kind, isDamage, segment }) => [kind, isDamage, segment]),
    [['corrupt', true, 1]],
  )
  const refused = await run('repair', left.spool)
  assert.equal(refused.exitCode, 2)
  assert.match(refused.stdout, /nothing was changed\n(.*\n)*.*would be lost: \d+ records/)
  assert.deepEqual(contentsOf(left.spool), before)
})

test('the way out of damage: refused with the commands, repaired, opened, sealed, delivered, verified', async (t) => {
  const left = await closedSpool(t)
  const whole = recordsIn(left.folder)
  flip(join(left.spool, 'control'), 60)
  flip(join(left.spool, 'control'), 4_096 + 60)
  damage(left, 'action.3')
  const opens = () => openAudit(left.folder, { destinations: [file(left.folder, 'trail')] })
  assert.throws(opens, (error) => {
    assert.ok(error instanceof AuditError)
    assert.equal(error.code, 'SPOOL_CORRUPT')
    assert.match(error.hint, /Nothing was changed\..*otel-audit spool check .*otel-audit spool repair .* --accept-loss/)
    return true
  })
  const { exitCode, stdout } = await run(
    'repair',
    left.spool,
    '--accept-loss',
    '--why',
    'disk sdb',
    '--operator',
    'bob',
  )
  assert.equal(exitCode, 0, stdout)
  const audit = opens()
  audit.emit({ action: 'after.repair' })
  await audit.flush()
  await audit.close()
  const records = recordsIn(left.folder)
  assert.deepEqual(records.slice(0, 3), whole.slice(0, 3))
  const [opened, gap] = records.slice(3)
  assert.deepEqual([opened?.event_type, opened?.details?.reason], ['audit.stream.opened', 'loss'])
  const last = { stream: whole[0]?.stream, seq: 3, hash: whole[3]?.prev, reason: 'loss' }
  assert.deepEqual(opened?.details?.predecessor, last)
  assert.equal(gap?.event_type, 'audit.gap')
  const { operator, why, stream, from } = gap.details ?? {}
  assert.deepEqual([operator, why, stream, from], ['bob', 'disk sdb', whole[0]?.stream, 4])
  assert.equal(records[4 + 1]?.action, 'after.repair')
  assert.match(readFileSync(join(left.folder, 'trail.ndjson'), 'utf8'), /"audit\.gap".*\n.*"after\.repair"/)
  const verified = await runCli(['verify', left.spool, '--vkey', left.key])
  assert.doesNotMatch(verified.stdout, /CONTENT_TAMPERED|LINK_BROKEN|MISSING|REORDERED|INSERTED|FORKED/)
  const again = await run('check', left.spool)
  assert.equal(again.exitCode, 0, again.stdout)
})

test('a repair says in JSON what it did, and where what was taken out lies', async (t) => {
  const left = await closedSpool(t)
  damage(left, 'action.2')
  const refused = await reportOf<SpoolRepair>('repair', left.spool)
  assert.equal(refused.outcome, 'refused')
  const { outcome, repair } = await reportOf<SpoolRepair>('repair', left.spool, '--accept-loss')
  assert.equal(outcome, 'repaired')
  assert.deepEqual(repair?.lost, refused.repair?.lost)
  assert.equal(repair?.follows?.sequence, 2)
  assert.deepEqual(repair?.quarantine.segments, [1])
  const kept = readdirSync(join(repair.quarantine.directory, 'corrupt', repair.id))
  assert.deepEqual(kept.sort(), ['control', 'repair.json', 'seg-00000001.wal'])
  const status = await reportOf<SpoolStatus>('status', left.spool)
  assert.deepEqual(
    status.facts.map(({ type }) => type),
    ['audit.gap'],
  )
  assert.match((await run('status', left.spool)).stdout, /to be sealed by the next start: audit\.gap \{/)
})

test('counts of suppressed events are shown until a record seals them', async (t) => {
  const folder = freshFolder(t)
  const spool = join(folder, 'spool')
  const audit = openAudit(folder, { policy: { level: 'writes_only' } })
  for (let at = 0; at < 3; at += 1) audit.emit({ action: 'a', operation: 'read' })
  while (readWindows(diskFiles, spool).length === 0) await sleep(20)
  const [window] = (await reportOf<SpoolStatus>('status', spool)).suppressed
  assert.deepEqual(window?.rules, [{ id: 'level:writes_only', operation: 'read', outcome: 'unknown', count: 3 }])
  const { stdout } = await run('status', spool)
  assert.match(stdout, /suppressed since 20\S+Z and not sealed yet: 3 events \(level:writes_only\)/)
  await audit.close()
  assert.deepEqual((await reportOf<SpoolStatus>('status', spool)).suppressed, [])
})

test('a destination that is gone is listed, dropped, and the drop is sealed', async (t) => {
  const left = await closedSpool(t, ['trail', 'old-collector'])
  assert.deepEqual((await reportOf<SpoolDestinations>('destination', 'list', left.spool)).destinations, [
    'trail',
    'old-collector',
  ])
  const dropped = await run(
    'destination',
    'drop',
    left.spool,
    'old-collector',
    '--why',
    'ticket 812',
    '--operator',
    'bob',
  )
  assert.deepEqual([dropped.exitCode, dropped.stderr], [0, ''])
  assert.equal((await run('destination', 'list', left.spool)).stdout, 'trail\n')
  const { destinations } = await reportOf<SpoolStatus>('status', left.spool)
  assert.deepEqual(destinations.map(({ name, isNamed }) => [name, isNamed]).sort(), [
    ['old-collector', false],
    ['trail', true],
  ])
  const audit = openAudit(left.folder, { destinations: [file(left.folder, 'trail')] })
  await audit.close()
  const fact = recordsIn(left.folder).find(({ event_type }) => event_type === 'audit.destination.dropped')
  const { name, why, operator } = fact?.details ?? {}
  assert.deepEqual([name, why, operator], ['old-collector', 'ticket 812', 'bob'])
  assert.deepEqual((await reportOf<SpoolStatus>('status', left.spool)).facts, [], 'it is sealed once')
})

test('beside a live writer nothing is dropped or repaired, and the remedy is said', async (t) => {
  const { folder, spool } = await closedSpool(t)
  openAudit(folder, { destinations: [file(folder, 'trail')] })
  const drop = await run('destination', 'drop', spool, 'trail', '--why', 'x')
  assert.equal(drop.exitCode, 2)
  assert.match(
    drop.stderr,
    /is written by process \d+\n {2}hint: End that process, take trail out of its configuration/,
  )
  const repair = await run('repair', spool, '--accept-loss')
  assert.equal(repair.exitCode, 2)
  assert.match(repair.stderr, /is written by process \d+\n {2}hint: End that process first/)
  const check = await run('check', spool)
  assert.equal(check.exitCode, 0)
  assert.match(check.stdout, /as far as they are durable: a process writes it/)
  const status = await reportOf<SpoolStatus>('status', spool)
  assert.deepEqual([status.live, status.state], [true, 'ok'])
})

test('what is wrong on the command line is named with the rule', async (t) => {
  const { folder, spool } = await closedSpool(t)
  const long = 'x'.repeat(513)
  const cases: readonly [readonly string[], RegExp][] = [
    [['check'], /^DIR is missing/],
    [['check', join(folder, 'nothing')], /is not a directory\nName the directory that spool\.directory names/],
    [['check', folder], /is no spool: it has no control file/],
    [['check', spool, 'more'], /^unexpected argument more/],
    [['check', spool, '--jsn'], /^unknown option --jsn\ndid you mean --json\?/],
    [['repair', spool, '--accept-los'], /^unknown option .*\ndid you mean --accept-loss\?/],
    [['destination'], /^list or drop is missing/],
    [['destination', 'dorp', spool], /^unknown command "spool destination dorp"\ndid you mean: .* drop/],
    [['destination', 'drop', spool], /^NAME is missing/],
    [['destination', 'drop', spool, 'trail'], /^--why is missing/],
    [['destination', 'drop', spool, 'trial', '--why', 'x'], /^no destination is named "trial"\ndid you mean trail\?/],
    [['destination', 'drop', spool, 'elsewhere', '--why', 'x'], /\nthe names are: trail/],
    [['destination', 'drop', spool, 'trail', '--why', long], /^--why has 513 bytes, at most 512 are allowed/],
    [['destination', 'drop', spool, 'trail', '--why', 'x', '--operator', long], /^--operator has 513 bytes/],
  ]
  const io = { stdout: { write: assert.fail }, stderr: { write: assert.fail }, env: {} }
  for (const [[word, ...argv], expected] of cases) {
    const asked = command.commands.find(({ name }) => name === `spool ${word}`)
    await assert.rejects(asked?.run(argv, io) ?? Promise.resolve(), (error) => {
      assert.ok(error instanceof AuditError, String(error))
      assert.match(`${error.message}\n${error.hint}`, expected)
      return error.setting !== undefined
    })
  }
})

test('every command of spool has help with examples', () => {
  for (const { name, help } of command.commands) {
    assert.match(help, new RegExp(`^Usage: otel-audit ${name} (.*\\n)*Examples:\\n  otel-audit ${name} `))
  }
})
