/** Reload: what changes, what does not, what is sealed of it, and that a bad configuration changes nothing. */

import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PolicyInForce } from '../../src/audit/admission.ts'
import { compileInForce } from '../../src/audit/open-sealer.ts'
import { readOptions } from '../../src/audit/read-config.ts'
import { Reloader } from '../../src/audit/reload.ts'
import { createAuditFromEnv } from '../../src/index.ts'
import { startProgram } from '../support/program.ts'
import { freshFolder, openAudit, type RecordJson, recordsIn } from './opened.ts'

const read = { action: 'invoice.view', operation: 'read', outcome: 'success' } as const

const about = (records: readonly RecordJson[], type = 'audit.policy.changed') =>
  records.filter(({ action }) => action === type).map(({ details }) => details)

test('a reload applies policy and redaction from the next event on, and seals both hashes and the changed fields', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { policy: { level: 'writes_only' } })
  assert.equal(audit.emit(read).status, 'suppressed')
  const report = await audit.reload({ policy: { level: 'all' }, redact: { keys: ['nickname'] } })
  assert.deepEqual(
    [report.status, report.source, report.applied, report.restartRequired],
    ['changed', 'code', ['policy.level', 'redact.keys'], []],
  )
  assert.notEqual(report.before, report.after)
  assert.equal(audit.emit({ ...read, details: { nickname: 'n' } }).status, 'written')
  await audit.close()
  const records = recordsIn(folder)
  assert.deepEqual(
    records.map(({ action }) => action).filter((action) => action !== 'audit.checkpoint'),
    ['audit.stream.opened', 'audit.suppressed', 'audit.policy.changed', 'invoice.view', 'audit.stream.closed'],
  )
  assert.deepEqual(about(records), [
    {
      before: report.before,
      after: report.after,
      changed_fields: ['policy.level', 'redact.keys'],
      applied: ['policy.level', 'redact.keys'],
      restart_required: [],
      source: 'code',
    },
  ])
  const event = records.find(({ action }) => action === 'invoice.view')
  assert.deepEqual([event?.level, event?.policy, event?.details], ['all', report.after, { nickname: '[REDACTED]' }])
  const [window] = about(records, 'audit.suppressed')
  assert.equal(window?.policy, report.before, 'counted by the policy that suppressed')
})

test('what needs a restart is named each time and left as it is; what is not given stays', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { redact: { keys: ['nickname'] } })
  const { bytesMax } = audit.state
  const spool = { directory: join(folder, 'spool'), bytesMax: 2 ** 20 }
  const report = await audit.reload({ spool })
  assert.deepEqual(
    [report.status, report.applied, report.restartRequired],
    ['unchanged', [], ['spool.bytesMax', 'spool.reserveBytes']],
  )
  assert.equal(report.before, report.after)
  assert.equal(audit.state.bytesMax, bytesMax)
  const again = await audit.reload({ policy: { level: 'deletes_only' } })
  assert.deepEqual([again.applied, again.restartRequired], [['policy.level'], report.restartRequired])
  assert.equal(audit.emit(read).status, 'suppressed')
  assert.equal(audit.emit({ action: 'a', operation: 'delete', details: { nickname: 'n' } }).status, 'written')
  await audit.close()
  assert.deepEqual(recordsIn(folder).find(({ action }) => action === 'a')?.details, { nickname: '[REDACTED]' })
})

test('a bad configuration changes nothing, and that it was given is sealed without its values', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  const bad = [
    { policy: { level: 'everything' } },
    { policy: { sampleRate: 0.5 } },
    { policy: { level: 'all', rules: [{ id: 'x', effect: 'ignore' }] } },
    { redact: { rules: [{ id: 'slow', pattern: '(a+)+$' }] } },
    { policy: { level: 'all' }, nonsense: 'secret-of-mine' },
    { policy: 3 },
  ]
  for (const options of bad) {
    const report = await audit.reload(options as never)
    assert.equal(report.status, 'rejected', JSON.stringify(options))
    assert.equal(report.error?.code, 'INVALID_OPTION')
    assert.equal(report.before, report.after)
    assert.equal(audit.emit(read).status, 'written')
  }
  await audit.close()
  const rejected = about(recordsIn(folder), 'audit.policy.rejected')
  assert.equal(rejected.length, bad.length)
  const [first] = rejected
  assert.deepEqual(
    [first?.setting, first?.before === first?.after, first?.changed_fields, first?.source],
    ['policy.level', true, [], 'code'],
  )
  assert.doesNotMatch(JSON.stringify(rejected), /everything|secret-of-mine/)
  assert.deepEqual(about(recordsIn(folder)), [])
})

test('no event is judged by half a policy, however many reloads run at once', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { policy: { level: 'all' } })
  const levels = ['all', 'writes_only', 'deletes_only', 'failures_only'] as const
  const reports = await Promise.all(
    Array.from({ length: 40 }, (_, index) => {
      audit.emit({ ...read, outcome: 'denied' })
      const level = levels[index % 4]
      return audit.reload({ policy: { level }, redact: { keys: [`k${index}`] } })
    }),
  )
  await audit.close()
  const records = recordsIn(folder)
  for (const [index, report] of reports.entries()) {
    if (index > 0) assert.equal(report.before, reports[index - 1]?.after)
  }
  let inForce = reports[0]?.before
  for (const { action, policy, details } of records) {
    if (action === 'audit.policy.changed') inForce = String(details?.after)
    if (action === 'invoice.view') assert.equal(policy, inForce)
    if (action === 'audit.suppressed') assert.equal(details?.policy, inForce)
  }
})

test('after close a reload says so and does nothing', async (t) => {
  const audit = openAudit(freshFolder(t))
  await audit.close()
  const report = await audit.reload()
  assert.deepEqual([report.status, report.error?.code], ['rejected', 'CLOSED'])
})

test('a change that the spool does not take is not made', () => {
  const config = readOptions({ policy: { level: 'all' } })
  const inForce = compileInForce(config)
  const asked: string[] = []
  const sealer = {
    inForce,
    enforce: (next: PolicyInForce) => {
      asked.push(next.policy.level)
      return asked.length > 2
    },
    sealFact: () => false,
  }
  const reloader = new Reloader(sealer, config, () => false)
  for (let round = 0; round < 2; round += 1) {
    const report = reloader.reload('code', { policy: { level: 'deletes_only' } })
    assert.deepEqual([report.status, report.error?.code, report.after], ['rejected', 'SPOOL_FAILED', report.before])
  }
  const { status, applied } = reloader.reload('code', { policy: { level: 'deletes_only' } })
  assert.deepEqual([status, applied], ['changed', ['policy.level']], 'it is still a change when it can be made')
})

test('a profile that refuses a setting refuses it in a reload too', async (t) => {
  const elsewhere = freshFolder(t)
  const audit = openAudit(freshFolder(t), {
    profile: 'strict',
    keys: { signingKeyFile: join(elsewhere, 'audit.key') },
    destinations: [{ type: 'file', path: join(elsewhere, 'audit.ndjson') }],
  })
  const report = await audit.reload({ policy: { level: 'deletes_only' } })
  assert.equal(report.status, 'rejected')
  assert.match(report.error?.message ?? '', /policy\.level/)
})

test('SIGHUP reads the environment and its file again, and no longer ends the process', async (t) => {
  const folder = freshFolder(t)
  const file = join(folder, 'audit.json')
  writeFileSync(file, JSON.stringify({ policy: { level: 'writes_only' }, handleSignals: true }))
  const program = startProgram(
    t,
    `import { createAuditFromEnv } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)}
     Object.assign(process.env, { AUDIT_CONFIG_FILE: ${JSON.stringify(file)}, AUDIT_LOG_FILE_PATH: ${JSON.stringify(join(folder, 'out.ndjson'))},
       AUDIT_LOG_DESTINATION: 'file', AUDIT_SPOOL_DIRECTORY: ${JSON.stringify(join(folder, 'spool'))} })
     const audit = createAuditFromEnv()
     process.stdin.on('data', (line) => {
       if (String(line).trim() === 'close') audit.close().then(() => process.exit())
       else console.log(String(line).trim(), audit.emit(${JSON.stringify(read)}).status)
     })
     console.log('ready')`,
  )
  await program.line('ready')
  const emit = async (name: string) => {
    program.say(name)
    return program.line(name)
  }
  assert.equal(await emit('first'), 'suppressed')
  writeFileSync(file, '{"policy": {"level": "all"')
  process.kill(program.pid, 'SIGHUP')
  while (!program.complaints.includes('reload (SIGHUP): rejected')) await sleep(10)
  assert.equal(await emit('second'), 'suppressed')
  writeFileSync(
    file,
    JSON.stringify({ policy: { level: 'all' }, redact: { preset: 'off' }, handleSignals: true, closeTimeoutMs: 1 }),
  )
  process.kill(program.pid, 'SIGHUP')
  while (
    !program.complaints.includes('reload (SIGHUP): policy.level, redact.preset applied; closeTimeoutMs after a restart')
  )
    await sleep(10)
  assert.match(program.complaints, /redact\.preset is off: secrets/, 'what is said at start is said of a reload too')
  assert.equal(await emit('third'), 'written')
  program.say('close')
  assert.equal((await program.ended).code, 0, program.complaints)
  const records = recordsIn(folder)
  const [rejected] = about(records, 'audit.policy.rejected')
  assert.deepEqual([rejected?.source, rejected?.setting], ['SIGHUP', 'AUDIT_CONFIG_FILE'])
  const [changed] = about(records)
  assert.deepEqual(
    [changed?.source, changed?.applied, changed?.restart_required],
    ['SIGHUP', ['policy.level', 'redact.preset'], ['closeTimeoutMs']],
  )
})

test('a change of the watched file is a reload, also where the file is replaced; a look that finds no other setting is none', async (t) => {
  const folder = freshFolder(t)
  const file = join(folder, 'audit.json')
  const write = (level: string, to = file) => writeFileSync(to, JSON.stringify({ policy: { level } }))
  write('all')
  const before = { ...process.env }
  t.after(() => {
    process.env = before
  })
  Object.assign(process.env, {
    AUDIT_CONFIG_FILE: file,
    AUDIT_CONFIG_WATCH: 'true',
    AUDIT_LOG_DESTINATION: 'file',
    AUDIT_LOG_FILE_PATH: join(folder, 'out.ndjson'),
    AUDIT_SPOOL_DIRECTORY: join(folder, 'spool'),
  })
  const audit = createAuditFromEnv({ closeTimeoutMs: 200 })
  t.after(() => audit.close())
  const changes = () => about(recordsIn(folder)).length
  write('writes_only', `${file}.new`)
  renameSync(`${file}.new`, file)
  while (changes() < 1) await sleep(50)
  assert.equal(audit.emit(read).status, 'suppressed')
  write('writes_only')
  write('deletes_only')
  while (changes() < 2) await sleep(50)
  await audit.close()
  assert.deepEqual(
    about(recordsIn(folder)).map((details) => [details?.source, details?.applied]),
    [
      ['file', ['policy.level']],
      ['file', ['policy.level']],
    ],
  )
})
