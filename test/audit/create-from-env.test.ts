/** `createAuditFromEnv` as a program uses it: the environment is that of a process of its own. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { AuditLogRecordProcessor, createAudit } from '../../src/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-'))
after(() => rmSync(folder, { recursive: true }))

const index = new URL('../../src/index.ts', import.meta.url).href
const program = `
  import { createAuditFromEnv } from ${JSON.stringify(index)}
  try {
    const audit = createAuditFromEnv({ spool: { directory: process.env.DIRECTORY } })
    const receipt = audit.emit({ action: 'invoice.delete', operation: 'delete', outcome: 'success' })
    await audit.flush()
    await audit.close()
    console.error('receipt', receipt.status, receipt.rule ?? '')
  } catch (error) {
    console.error('refused', error.code, error.setting, error.message)
  }
`

let runs = 0

function run(environment: NodeJS.ProcessEnv): { stdout: string; stderr: string } {
  const directory = join(folder, `spool-${runs++}`)
  const { PATH } = process.env
  const env = { PATH, DIRECTORY: directory, ...environment }
  return spawnSync(process.execPath, ['--input-type=module', '-e', program], { env, encoding: 'utf8', timeout: 60_000 })
}

function actionsIn(ndjson: string): unknown[] {
  const lines = ndjson.split('\n').filter((line) => line !== '')
  return lines.map((line) => (JSON.parse(line) as { action?: unknown }).action)
}

test('without any destination records go to standard output', () => {
  const { stdout, stderr } = run({ AUDIT_SERVICE: 'billing' })
  assert.ok(actionsIn(stdout).includes('invoice.delete'))
  assert.match(stderr, /^receipt written/m)
})

test('AUDIT_LOG_FILE_PATH gets them, and a path that cannot be written ends the start', () => {
  const path = join(folder, 'audit.ndjson')
  run({ AUDIT_LOG_DESTINATION: 'file', AUDIT_LOG_FILE_PATH: path })
  assert.ok(actionsIn(readFileSync(path, 'utf8')).includes('invoice.delete'))
  const { stderr } = run({ AUDIT_LOG_DESTINATION: 'file', AUDIT_LOG_FILE_PATH: join(folder, 'none', 'audit.ndjson') })
  assert.match(stderr, /^refused FILE_NOT_WRITABLE /m)
})

for (const name of ['AUDIT_TRAIL_ENABLED', 'AUDIT_LOG_ENABLED']) {
  test(`${name}=false records nothing, is said once, and emit stays safe to call`, () => {
    const { stdout, stderr } = run({ [name]: 'false' })
    assert.ok(!actionsIn(stdout).includes('invoice.delete'))
    assert.match(stderr, /^receipt suppressed disabled$/m)
    assert.equal(stderr.match(/no event is recorded/g)?.length, 1)
  })
}

test('a bad value ends the start with the name of its variable, and nothing was opened', () => {
  const { stderr } = run({ AUDIT_TRAIL_LEVEL: 'most' })
  assert.match(
    stderr,
    /^refused INVALID_OPTION AUDIT_TRAIL_LEVEL AUDIT_TRAIL_LEVEL is "most"; allowed: all, writes_only/m,
  )
  assert.ok(!existsSync(join(folder, `spool-${runs - 1}`)))
})

test('a name that means nothing is said once on standard error', () => {
  const { stderr } = run({ AUDIT_TRAIL_LEVLE: 'all' })
  assert.match(
    stderr,
    /^otel-audit: AUDIT_TRAIL_LEVLE is set, but there is no such setting; did you mean AUDIT_TRAIL_LEVEL\?$/m,
  )
})

test('AUDIT_CONFIG_FILE is read, and OTEL_SERVICE_NAME names the service', () => {
  const file = join(folder, 'config.json')
  writeFileSync(file, JSON.stringify({ policy: { excludeActions: ['invoice.*'] } }))
  const { stderr, stdout } = run({ AUDIT_CONFIG_FILE: file, OTEL_SERVICE_NAME: 'ledger' })
  assert.match(stderr, /^receipt suppressed exclude_action:invoice\.\*$/m)
  assert.match(stdout, /"service":"ledger"/)
})

test('the processor and createAudit take options and leave the environment alone', async () => {
  process.env.AUDIT_TRAIL_LEVEL = 'most'
  try {
    const audit = createAudit({ spool: { directory: join(folder, 'alone') } })
    assert.equal(new AuditLogRecordProcessor(audit).audit, audit)
    await audit.close()
  } finally {
    delete process.env.AUDIT_TRAIL_LEVEL
  }
})
