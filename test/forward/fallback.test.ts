import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { StoredRecord } from '../../src/event/record.ts'
import { Bell } from '../../src/forward/bell.ts'
import { Fallback, type FallbackParts } from '../../src/forward/fallback.ts'
import { recordsAt } from '../support/delivered.ts'
import { answer, startOtlpBackend } from '../support/otlp-backend.ts'
import { makeRecords } from './fakes.ts'

const never = new AbortController().signal

/** A destination that delivers and fails as it is told, and what is printed meanwhile. */
class Scene {
  readonly records: StoredRecord[] = []
  readonly printed: number[] = []
  isFailing = false
  passed = 0
  #at = 0
  readonly parts: FallbackParts = {
    reader: {
      seek: ({ confirmed }) => {
        this.#at = confirmed?.sequence ?? 0
      },
      next: ({ records }) => {
        const read = this.records.slice(this.#at, this.#at + Math.min(records, 2))
        this.#at += read.length
        return read
      },
      close: () => {},
    },
    output: {
      send: async ({ records }) => {
        this.printed.push(...records.map(({ sequence }) => sequence))
        return { status: 'delivered' }
      },
      close: async () => {},
    },
    view: () => {
      const last = this.records[this.passed - 1]
      const confirmed = last === undefined ? {} : { confirmed: { stream: last.stream, sequence: last.sequence } }
      return { isFailing: this.isFailing, passed: this.passed, confirmed }
    },
    changes: new Bell(),
  }
  readonly fallback = new Fallback(this.parts)

  append(count: number): void {
    this.records.push(...makeRecords(this.records.length + 1, this.records.length + count))
  }
}

test('what is emitted while the destination fails is printed once, also when it fails again before it has caught up', async () => {
  const scene = new Scene()
  scene.append(5)
  scene.passed = 3
  await scene.fallback.printMissing(never)
  assert.deepEqual(scene.printed, [])
  scene.isFailing = true
  await scene.fallback.printMissing(never)
  scene.append(2)
  await scene.fallback.printMissing(never)
  assert.deepEqual(scene.printed, [4, 5, 6, 7])
  scene.passed = 5
  scene.append(1)
  await scene.fallback.printMissing(never)
  assert.deepEqual(scene.printed.slice(4), [8], 'what is printed is not printed again')
  scene.append(4)
  scene.passed = 10
  await scene.fallback.printMissing(never)
  assert.deepEqual(scene.printed.slice(5), [11, 12], 'what was delivered in the meantime is not printed')
})

test('whatever the order of outages, nothing is printed twice, and what a failing destination lacks is printed', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constant('deliver' as const), count: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constant('fail' as const), count: fc.constant(0) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const scene = new Scene()
      for (const { kind, count } of steps) {
        if (kind === 'append') scene.append(count)
        if (kind === 'deliver') scene.passed = Math.min(scene.records.length, scene.passed + count)
        scene.isFailing = kind === 'fail'
        await scene.fallback.printMissing(never)
        if (kind !== 'fail') continue
        const lacking = scene.records.slice(scene.passed).map(({ sequence }) => sequence)
        assert.ok(lacking.every((sequence) => scene.printed.includes(sequence)))
      }
      assert.equal(new Set(scene.printed).size, scene.printed.length)
    }),
  )
})

const program = `
  import { createAudit } from '${new URL('../../src/index.ts', import.meta.url).href}'
  const [folder, endpoint] = process.argv.slice(1)
  const audit = createAudit({
    service: 'shop', policy: { level: 'all' }, spool: { directory: folder + '/spool' }, keys: { signingKeyFile: folder + '/audit.key' },
    destinations: [{ type: 'otlp', endpoint, protocol: 'http/json', flushIntervalMs: 10, fallback: 'stdout' }],
  })
  process.on('message', async (word) => {
    if (word === 'emit') for (let n = 0; n < 5; n++) await audit.emit({ action: 'order.place' }).durable
    if (word === 'close') await audit.flush().then(() => audit.close()).then(() => process.disconnect())
    process.send(word)
  })
`

test('records of a destination that fails stand on standard output and arrive all the same', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-fallback-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const backend = await startOtlpBackend(answer(503))
  t.after(() => backend.close())
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, folder, backend.url], {
    stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
  })
  t.after(() => child.kill('SIGKILL'))
  const events = (records: readonly string[]) => records.filter((record) => record.includes('"event_type":"audit"'))
  assert.ok(child.stdout)
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  child.send('emit')
  while (events(output.split('\n')).length < 5) await once(child.stdout, 'data')
  backend.requests.length = 0
  backend.respond = answer(200)
  child.send('close')
  await once(child, 'close')
  const printed = output.trimEnd().split('\n')
  const arrived = [...new Set(recordsAt(backend))]
  assert.equal(events(arrived).length, 5)
  assert.equal(events(printed).length, 5)
  assert.equal(new Set(printed).size, printed.length, 'each once')
})

test('while the destination takes records it looks at nothing, and prints as soon as it fails', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const scene = new Scene()
  let looks = 0
  const { view, changes } = scene.parts
  const counted = () => {
    looks += 1
    return view()
  }
  const fallback = new Fallback({ ...scene.parts, view: counted })
  const stopping = new AbortController()
  const running = fallback.run(stopping.signal)
  await new Promise(setImmediate)
  const before = looks
  for (let second = 0; second < 60; second += 1) {
    t.mock.timers.tick(1_000)
    await new Promise(setImmediate)
  }
  assert.equal(looks, before)
  scene.append(3)
  scene.isFailing = true
  changes.ring()
  await new Promise(setImmediate)
  assert.deepEqual(scene.printed, [1, 2, 3])
  stopping.abort()
  await running
})
