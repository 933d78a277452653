import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { useClocks } from '../../src/clock.ts'
import type { Audit, MetricsRegistry } from '../../src/index.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { freshFolder, openAudit, type RecordJson, recordsIn } from './opened.ts'

/** A clock whose timers fire when the test says so. */
function fakeTimers(t: TestContext): { fire: (delayMs: number) => void } {
  const waiting: { delayMs: number; call: () => void }[] = []
  t.after(
    useClocks({
      after: (delayMs, call) => {
        const timer = { delayMs, call }
        waiting.push(timer)
        return () => void waiting.splice(waiting.indexOf(timer), 1)
      },
    }),
  )
  return {
    fire(delayMs) {
      const at = waiting.findIndex((timer) => timer.delayMs === delayMs)
      assert.ok(at !== -1, `nothing waits for ${delayMs} ms`)
      for (const { call } of waiting.splice(at, 1)) call()
    },
  }
}

interface Metric {
  readonly name: string
  get(): Promise<{ values: { value: number }[] }>
}

function registryOf(): { registry: MetricsRegistry; read: (name: string) => Promise<number | undefined> } {
  const metrics = new Map<string, Metric>()
  const registry = {
    registerMetric: (metric: unknown) => void metrics.set((metric as Metric).name, metric as Metric),
    getSingleMetric: (name: string) => metrics.get(name),
    removeSingleMetric: (name: string) => void metrics.delete(name),
  } as MetricsRegistry
  return { registry, read: async (name) => (await metrics.get(name)?.get())?.values[0]?.value }
}

const interval = { intervalMinutes: 7 }
const intervalMs = 7 * 60_000

async function emit(audit: Audit): Promise<void> {
  await audit.emit({ action: 'invoice.delete', operation: 'delete' }).durable
}

/** What was sealed, also where other records are damaged. */
function verifiedIn(folder: string): RecordJson[] {
  const records = [...viewSpool(diskFiles, join(folder, 'spool')).records()].filter(({ damaged }) => !damaged)
  const parsed = records.map(({ bytes }) => JSON.parse(bytes.toString()) as RecordJson)
  return parsed.filter(({ action }) => action === 'audit.verified')
}

/** Resolves when the condition holds; fails with the test's own time limit when it never does. */
async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve))
}

test('after each interval the spool is verified, sealed and counted', { timeout: 60_000 }, async (t) => {
  const timers = fakeTimers(t)
  const { registry, read } = registryOf()
  const folder = freshFolder(t)
  const audit = openAudit(folder, { verify: interval, metrics: { registry } })
  await emit(audit)
  assert.equal(await read('audit_verify_findings'), undefined)
  assert.equal(await read('audit_verify_last_success_timestamp_seconds'), undefined)
  await until(() => recordsIn(folder).some(({ action }) => action === 'audit.checkpoint'))
  timers.fire(intervalMs)
  await until(async () => (await read('audit_verify_findings')) !== undefined)
  assert.equal(await read('audit_verify_findings'), 0)
  assert.ok(((await read('audit_verify_last_success_timestamp_seconds')) ?? 0) > 1_700_000_000)
  timers.fire(intervalMs)
  await until(() => verifiedIn(folder).length === 2)
  await audit.close()
  const checkpoints = recordsIn(folder).filter(({ action }) => action === 'audit.checkpoint')
  const notes = checkpoints.map(({ details }) => String(details?.note).split('\n'))
  for (const { details } of verifiedIn(folder)) {
    assert.equal(details?.stream, audit.state.stream)
    assert.equal(details?.source, 'spool')
    assert.match(String(details?.verdict), /^(INTACT|OPEN_TAIL)$/)
    assert.equal(details?.from, 1)
    const note = notes.find(([, size]) => size === String(details?.to))
    assert.equal(details?.root, note?.[2]) // the root of the checkpoint of that size
  }
})

test('a record that changed on disk is found, sealed, counted and said', { timeout: 60_000 }, async (t) => {
  const folder = freshFolder(t)
  const before = openAudit(folder)
  for (let count = 0; count < 20; count += 1) await emit(before)
  await before.close()
  const timers = fakeTimers(t)
  const { registry, read } = registryOf()
  const audit = openAudit(folder, { verify: interval, metrics: { registry } })
  await emit(audit) // the sync thread has read what it needs of the records before
  changeRecord(join(folder, 'spool'))
  timers.fire(intervalMs)
  await until(() => verifiedIn(folder).length === 1)
  assert.ok(((await read('audit_verify_findings')) ?? 0) > 0)
  assert.equal(await read('audit_verify_last_success_timestamp_seconds'), undefined)
  assert.equal(verifiedIn(folder)[0]?.details?.verdict, 'CONTENT_TAMPERED')
  await audit.close()
})

test('with an interval of 0 nothing is ever verified', (t) => {
  const timers = fakeTimers(t)
  openAudit(freshFolder(t), { verify: { intervalMinutes: 0 } })
  assert.throws(() => timers.fire(0), /nothing waits/)
})

/** Changes one byte of the third event on disk. */
function changeRecord(directory: string): void {
  const [segment = ''] = readdirSync(directory).filter((name) => name.endsWith('.wal'))
  const bytes = readFileSync(join(directory, segment))
  let at = 0
  for (let count = 0; count < 3; count += 1) at = bytes.indexOf('"invoice.delete"', at + 1)
  assert.ok(at > 0)
  const file = openSync(join(directory, segment), 'r+')
  writeSync(file, 'X', at + 1)
  closeSync(file)
}
