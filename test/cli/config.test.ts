import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { settings } from '../../src/audit/settings.ts'
import type { ConfigCheck, ConfigPrint } from '../../src/index.ts'
import { runCli } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-'))
after(() => rmSync(folder, { recursive: true }))

function write(name: string, content: unknown): string {
  const file = join(folder, name)
  writeFileSync(file, JSON.stringify(content))
  return file
}

test('a good configuration is answered with exit code 0', async () => {
  assert.deepEqual(await runCli(['config', 'check']), { exitCode: 0, stdout: 'nothing is wrong\n', stderr: '' })
})

test('everything wrong is listed with what to do, and the exit code is 1', async () => {
  const environment = { AUDIT_TRAIL_LEVEL: 'most', AUDIT_SPOOL_KEEP_MINUTES: '' }
  const { exitCode, stdout } = await runCli(['config', 'check'], environment)
  assert.equal(exitCode, 1)
  assert.match(stdout, /^wrong: AUDIT_TRAIL_LEVEL is "most"; allowed: .*\n {2}hint: For example AUDIT_TRAIL_LEVEL=/m)
  assert.match(stdout, /^wrong: AUDIT_SPOOL_KEEP_MINUTES is empty/m)
  assert.match(stdout, /\n2 wrong\n$/)
})

test('each requirement of a profile is printed with its control, met or not', async () => {
  const file = write('pci.json', { profile: 'pci-dss', destinations: [{ type: 'otlp' }] })
  const { exitCode, stdout } = await runCli(['config', 'check', '--config', file, '--json'])
  assert.equal(exitCode, 1)
  const { problems, requirements } = JSON.parse(stdout) as ConfigCheck
  assert.deepEqual(
    problems.map(({ setting }) => setting),
    ['keys.signingKeyFile'],
  )
  assert.deepEqual(
    requirements.filter(({ isMet }) => !isMet).map(({ setting }) => setting),
    ['keys.signingKeyFile'],
  )
  assert.ok(requirements.every(({ control }) => control.startsWith('PCI DSS v4.0.1, ')))
})

test('what a start would remark on is printed and is no finding', async () => {
  const { exitCode, stdout } = await runCli(['config', 'check'], { AUDIT_TRIAL_LEVEL: 'all' })
  assert.equal(exitCode, 0)
  assert.match(
    stdout,
    /^remark: AUDIT_TRIAL_LEVEL is set, but there is no such setting; did you mean AUDIT_TRAIL_LEVEL\?$/m,
  )
})

test('every setting is printed with value, unit and source, and no secret', async () => {
  const file = write('print.json', { spool: { keepMinutes: 5 } })
  const environment = {
    AUDIT_TRAIL_LEVEL: 'all',
    AUDIT_LOG_DESTINATION: 'postgres',
    AUDIT_POSTGRES_URL: 'postgres://u:hunter2@db.example/audit',
  }
  const { exitCode, stdout } = await runCli(['config', 'print', '--config', file, '--json'], environment)
  assert.equal(exitCode, 0)
  assert.ok(!stdout.includes('hunter2'))
  const rows = (JSON.parse(stdout) as ConfigPrint).settings
  assert.deepEqual(
    rows.map(({ setting }) => setting),
    settings.map(({ path }) => path),
  )
  const rowOf = (name: string) => rows.find(({ setting }) => setting === name)
  assert.deepEqual(rowOf('spool.keepMinutes'), {
    setting: 'spool.keepMinutes',
    variables: ['AUDIT_SPOOL_KEEP_MINUTES'],
    value: 5,
    unit: 'minutes',
    source: file,
  })
  assert.deepEqual([rowOf('policy.level')?.value, rowOf('policy.level')?.source], ['all', 'AUDIT_TRAIL_LEVEL'])
  assert.equal(rowOf('destinations')?.source, 'AUDIT_LOG_DESTINATION')
  const text = await runCli(['config', 'print', '--config', file], environment)
  assert.match(text.stdout, /^spool\.keepMinutes {2,}5 minutes {2,}\S+print\.json$/m)
  assert.ok(!text.stdout.includes('hunter2'))
})

test('a file that cannot be read, and a configuration that cannot be printed, end with exit code 2', async () => {
  const missing = await runCli(['config', 'check', '--config', join(folder, 'none.json')])
  assert.equal(missing.exitCode, 2)
  assert.match(missing.stderr, /^otel-audit: --config names \S+, which does not exist\n {2}hint: /)
  const unreadable = await runCli(['config', 'print'], { AUDIT_TRAIL_LEVEL: 'most' })
  assert.equal(unreadable.exitCode, 2)
  assert.match(unreadable.stderr, /^otel-audit: AUDIT_TRAIL_LEVEL is "most"/)
})
