/** Commands on a directory that holds slots: each slot, and one that is damaged hides no other. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { SpoolStatus } from '../../src/index.ts'
import { freshFolder, openAudit } from '../audit/opened.ts'
import { runCli } from './run.ts'

/** Two slots, closed, with one event each; and the key that verifies them. */
async function closedSlots(t: TestContext): Promise<{ parent: string; key: string }> {
  const folder = freshFolder(t)
  const parent = join(folder, 'spools')
  const spool = { directory: parent, instances: 'slots' } as const
  const audits = [openAudit(folder, { spool }), openAudit(folder, { spool })]
  for (const audit of audits) audit.emit({ action: `in.${audit.state.slot}` })
  await Promise.all(audits.map((audit) => audit.close()))
  return { parent, key: audits[0]?.verifierKey ?? '' }
}

test('spool status shows each slot', async (t) => {
  const { parent } = await closedSlots(t)
  const { exitCode, stdout } = await runCli(['spool', 'status', parent, '--json'])
  assert.equal(exitCode, 0)
  const reports = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as SpoolStatus)
  assert.deepEqual(
    reports.map((report) => [report.directory, report.clean]),
    [
      [join(parent, 'slot-0001'), true],
      [join(parent, 'slot-0002'), true],
    ],
  )
})

test('spool check and status go on behind a slot that is damaged', async (t) => {
  const { parent } = await closedSlots(t)
  writeFileSync(join(parent, 'slot-0001', 'control'), Buffer.alloc(16_384, 0x55))
  const status = await runCli(['spool', 'status', parent])
  assert.equal(status.exitCode, 2)
  assert.match(status.stderr, /slot-0001.*control/)
  assert.match(status.stdout, /slot-0002/)
  const check = await runCli(['spool', 'check', parent])
  assert.equal(check.exitCode, 1)
  assert.match(check.stdout, /slot-0001: damaged/)
  assert.match(check.stdout, /slot-0002: whole/)
})

test('spool export prints the records of every slot', async (t) => {
  const { parent } = await closedSlots(t)
  const { exitCode, stdout } = await runCli(['spool', 'export', parent])
  assert.equal(exitCode, 0)
  for (const slot of ['slot-0001', 'slot-0002']) assert.match(stdout, new RegExp(`"action":"in\\.${slot}"`))
})

test('verify verifies every slot as a source of its own', async (t) => {
  const { parent, key } = await closedSlots(t)
  const { exitCode, stdout } = await runCli(['verify', parent, '--vkey', key])
  assert.equal(exitCode, 0, stdout)
  assert.match(stdout, /slot-0001 \(spool\): INTACT/)
  assert.match(stdout, /slot-0002 \(spool\): INTACT/)
})

test('verify finds what is wrong in one of them', async (t) => {
  const { parent, key } = await closedSlots(t)
  writeFileSync(join(parent, 'slot-0002', 'control'), Buffer.alloc(16_384, 0x55))
  const { exitCode, stdout } = await runCli(['verify', parent, '--vkey', key])
  assert.equal(exitCode, 2)
  assert.match(stdout, /slot-0001 \(spool\): INTACT/)
  assert.match(stdout, /slot-0002.*UNREADABLE/)
})
