import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import type { AuditOptions } from '../../src/index.ts'
import { Spool } from '../../src/spool/spool.ts'
import { answer, type OtlpBackend, startOtlpBackend } from '../support/otlp-backend.ts'
import type { Filled } from './filling.ts'
import { freshFolder, openAudit, type RecordJson, recordsIn } from './opened.ts'

interface Run extends Filled {
  /** Emergency records, as they stand on standard error. */
  readonly lines: readonly string[]
  /** What the library said there. */
  readonly notices: readonly string[]
}

/** Runs `filling.ts`; `whenFull` says what its order is once the spool is full. */
async function fill(t: TestContext, options: AuditOptions, whenFull: () => 'recover' | 'close' | 'exit'): Promise<Run> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'filling.ts'), JSON.stringify(options)])
  t.after(() => child.kill('SIGKILL'))
  const errors = text(child.stderr)
  let last = ''
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'full') child.stdin.write(`${whenFull()}\n`)
    last = line
  }
  const said = (await errors).trimEnd().split('\n')
  assert.match(last, /^\{/, said.join('\n'))
  const notices = said.filter((line) => line.startsWith('otel-audit: '))
  return { ...(JSON.parse(last) as Filled), lines: said.filter((line) => line.startsWith('{')), notices }
}

const small = { bytesMax: 256 * 1024, keepMinutes: 0 }

async function deadBackend(t: TestContext): Promise<OtlpBackend> {
  const backend = await startOtlpBackend(answer(503, { 'retry-after': '0' }))
  t.after(() => backend.close())
  return backend
}

function optionsFor(folder: string, backend: OtlpBackend, spool: AuditOptions['spool'] = {}): AuditOptions {
  return {
    service: 'billing',
    spool: { directory: join(folder, 'spool'), ...small, ...spool },
    destinations: [{ type: 'otlp', endpoint: backend.url, protocol: 'http/json' }],
  }
}

/** Every record that the backend accepted, by sequence and each once. */
function received({ requests }: OtlpBackend): RecordJson[] {
  const records = new Map<number, RecordJson>()
  for (const { body } of requests) {
    for (const [record] of body.toString().matchAll(/"body":\{"stringValue":("(?:[^"\\]|\\.)*")\}/g)) {
      const parsed = JSON.parse(JSON.parse(record.slice('"body":{"stringValue":'.length, -1))) as RecordJson
      records.set(parsed.seq, parsed)
    }
  }
  return [...records.values()].sort((a, b) => a.seq - b.seq)
}

const isEvent = (record: RecordJson) => record.event_type === 'audit'
const actionsOf = (records: readonly RecordJson[]) => records.map(({ action }) => action)

test('a full spool with a dead destination: one wait, then standard error; when it drains nothing is lost and a gap record accounts', async (t) => {
  const folder = freshFolder(t)
  const backend = await deadBackend(t)
  const run = await fill(t, optionsFor(folder, backend), () => {
    backend.requests.length = 0
    backend.respond = answer(200, { 'content-type': 'application/json' }, '{}')
    return 'recover'
  })
  // A second one where the sync thread had no segment ready: the record that leaves the one big segment gets in.
  assert.ok(
    run.waits === 1 || run.waits === 2,
    `${run.waits} events waited, the others went straight to standard error`,
  )
  assert.deepEqual([run.whenFull.spool, run.whenFull.ready], ['full', false])
  assert.match(run.whenFull.reasons.join(), /is full: \d+ bytes of spool\.bytesMax 262144/)
  assert.deepEqual([run.afterwards.spool, run.afterwards.ready], ['ok', true])

  const records = received(backend)
  assert.deepEqual(
    records.map(({ seq }) => seq),
    records.map((_, index) => index + 1),
  )
  const emergencies = run.lines.map((line) => JSON.parse(line) as RecordJson)
  const all = run.statuses.map((_, index) => `e${index}`)
  const emitted = [...actionsOf(records.filter(isEvent)), ...actionsOf(emergencies)]
  assert.deepEqual(emitted.toSorted(), all.toSorted(), 'each event is in the spool or on standard error, once')
  assert.equal(run.afterwards.emergencies, emergencies.length)

  const gaps = records.filter((record) => record.event_type === 'audit.gap')
  assert.ok(gaps.length >= 1 && gaps.length <= run.waits, `${gaps.length} gaps, ${run.waits} waits`)
  const sumOf = (member: string) => gaps.reduce((sum, { details }) => sum + Number(details?.[member]), 0)
  assert.equal(sumOf('count'), emergencies.length)
  assert.equal(
    sumOf('bytes'),
    run.lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0),
  )
  assert.equal(gaps[0]?.details?.reason, 'emergency')
  assert.equal(gaps[0]?.details?.from, emergencies[0]?.recorded)
  assert.equal(gaps.at(-1)?.details?.to, emergencies.at(-1)?.recorded)
  const lastBefore = Math.max(
    ...records.filter((one) => isEvent(one) && isBeforeGap(one, emergencies)).map((one) => one.seq),
  )
  const firstAfter = Math.min(
    ...records.filter((one) => isEvent(one) && !isBeforeGap(one, emergencies)).map((one) => one.seq),
  )
  assert.ok(
    lastBefore < (gaps[0]?.seq ?? 0) && (gaps[0]?.seq ?? 0) < firstAfter,
    'it stands before the first event after',
  )
})

/** Events are numbered by their actions. */
function isBeforeGap(record: RecordJson, emergencies: readonly RecordJson[]): boolean {
  return Number(record.action.slice(1)) < Number(emergencies[0]?.action.slice(1))
}

test('that it is full and that it takes records again is said on standard error, each once', async (t) => {
  const folder = freshFolder(t)
  const backend = await deadBackend(t)
  const { notices } = await fill(t, optionsFor(folder, backend), () => {
    backend.respond = answer(200, { 'content-type': 'application/json' }, '{}')
    return 'recover'
  })
  const changes = notices.filter((line) => line.startsWith('otel-audit: spool ') && !line.includes('is filling'))
  assert.equal(changes.length, 2, changes.join('\n'))
  assert.match(changes[0] ?? '', /is full.* \d+ bytes of spool\.bytesMax 262144; .*destinations that do not confirm/)
  assert.match(changes[1] ?? '', /takes records again$/)
})

test('while the destination keeps up, a full spool slows the application down and nothing goes to standard error', async (t) => {
  const folder = freshFolder(t)
  const waitForRoom = t.mock.method(Spool.prototype, 'waitForRoom')
  const path = join(folder, 'trail.ndjson')
  const audit = openAudit(folder, {
    spool: { directory: join(folder, 'spool'), ...small, blockMsMax: 10_000 },
    destinations: [{ type: 'file', path, flushIntervalMs: 0 }],
    closeTimeoutMs: 20_000,
  })
  const count = 600
  for (let at = 0; at < count; at += 1) audit.emit({ action: `e${at}`, details: { pad: 'x'.repeat(2_000) } })
  assert.equal(audit.state.emergencies, 0)
  assert.ok(waitForRoom.mock.callCount() > 0, 'it was full')
  await audit.close()
  const delivered = readFileSync(path, 'utf8').match(/"action":"e\d+"/g)
  assert.deepEqual(
    delivered,
    Array.from({ length: count }, (_, at) => `"action":"e${at}"`),
  )
})

test('onFull refuse: no event waits', async (t) => {
  const backend = await deadBackend(t)
  const options = optionsFor(freshFolder(t), backend, { onFull: 'refuse' })
  const run = await fill(t, options, () => {
    backend.respond = answer(200, { 'content-type': 'application/json' }, '{}')
    return 'recover'
  })
  assert.equal(run.waits, 0)
  assert.equal(run.lines.length, run.statuses.filter((status) => status === 'emergency').length)
})

test('closed while full: gap, end and checkpoint go into the reserve, and the next start finds a clean end', async (t) => {
  const folder = freshFolder(t)
  const backend = await deadBackend(t)
  const options = { ...optionsFor(folder, backend), destinations: [] }
  const run = await fill(t, options, () => 'close')
  const closing = actionsOf(recordsIn(folder)).slice(-3)
  assert.deepEqual(closing, ['audit.gap', 'audit.stream.closed', 'audit.checkpoint'])
  const gap = recordsIn(folder).at(-3)?.details
  assert.equal(gap?.count, run.lines.length)
  const audit = openAudit(folder, { spool: { directory: join(folder, 'spool'), bytesMax: 2 ** 20 } })
  await audit.close()
  const opened = recordsIn(folder).filter((record) => record.event_type === 'audit.stream.opened')
  assert.equal(opened.at(-1)?.details?.previous_end, 'clean')
})

test('a process that ends by itself while full has accounted for what went to standard error', async (t) => {
  const folder = freshFolder(t)
  const backend = await deadBackend(t)
  const run = await fill(t, { ...optionsFor(folder, backend), destinations: [] }, () => 'exit')
  const gap = recordsIn(folder).findLast(({ action }) => action === 'audit.gap')
  assert.equal(gap?.details?.count, run.lines.length)
  assert.equal(run.lines.length, run.afterwards.emergencies)
})
