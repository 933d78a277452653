/** The account of suppressed events by itself: what it counts, when it saves and seals, and that it rests when idle. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type SuppressionParts, Suppressions } from '../../src/audit/suppressions.ts'
import { type Operation, type Outcome, operations, outcomes } from '../../src/event/event.ts'
import type { SavedWindow, SuppressionWindow } from '../../src/spool/running-counts.ts'
import { type FakeTime, fakeTime } from '../support/fake-time.ts'

/** What it would write, and what it has sealed. */
class Account {
  readonly time: FakeTime
  readonly saved: (readonly SavedWindow[])[] = []
  readonly sealed: SuppressionWindow[] = []
  readonly suppressions: Suppressions
  isRefusing = false
  hasRoom = true

  constructor(t: TestContext, parts: Partial<SuppressionParts> = {}) {
    this.time = fakeTime(t)
    const save = (windows: readonly SavedWindow[]) => {
      this.saved.push(windows)
      return this.hasRoom
    }
    const slot = { save, close: () => {} }
    this.suppressions = new Suppressions({ slot, found: [], epoch: 1, policy: 'p', ...parts })
    this.suppressions.attach(() => this.seal())
  }

  /** As the sealer does. */
  seal(): boolean {
    const { details } = this.suppressions.fact()
    try {
      this.suppressions.sealAs({ stream: 's', sequence: this.sealed.length + 1 }, () => {
        if (this.isRefusing) throw new Error('no room')
      })
    } catch {
      return false
    }
    this.sealed.push(details as unknown as SuppressionWindow)
    return true
  }

  count(times: number, rule = 'level:writes_only'): void {
    for (let at = 0; at < times; at += 1) this.suppressions.count(rule, 'read', 'success')
  }

  /** How many events the slot held, save by save. */
  get savedCounts(): number[] {
    return this.saved.map((windows) => windows.reduce((sum, window) => sum + sumOf(window), 0))
  }
}

function sumOf({ rules }: SuppressionWindow): number {
  return rules.reduce((sum, { count }) => sum + count, 0)
}

test('events are counted by rule, operation and outcome; what is absent counts as other and unknown', (t) => {
  const { suppressions } = new Account(t)
  const cells = operations.flatMap((operation) => outcomes.map((outcome) => [operation, outcome] as const))
  for (const [index, cell] of cells.entries()) {
    for (let at = 0; at <= index; at += 1) suppressions.count('drop', ...(cell as [Operation, Outcome]))
  }
  suppressions.count('drop')
  suppressions.count('disabled', 'delete')
  const expected = cells.map(([operation, outcome], index) => ({ id: 'drop', operation, outcome, count: index + 1 }))
  const last = expected.at(-1)
  assert.deepEqual([last?.operation, last?.outcome], ['other', 'unknown'])
  if (last !== undefined) last.count += 1
  const one = { id: 'disabled', operation: 'delete', outcome: 'unknown', count: 1 } as const
  assert.deepEqual(suppressions.fact().details.rules, [...expected, one])
  const total = (cells.length * (cells.length + 1)) / 2 + 1
  assert.deepEqual(suppressions.totals(), [
    { rule: 'drop', count: total },
    { rule: 'disabled', count: 1 },
  ])
})

test('counts are sealed a minute after the first, in windows that leave nothing out; nothing is sealed of nothing', (t) => {
  const account = new Account(t)
  const { time, sealed } = account
  time.pass(10_000)
  assert.equal(time.hasTimers, false)
  account.count(3)
  time.pass(59_999)
  assert.equal(sealed.length, 0)
  time.pass(1)
  assert.deepEqual(
    sealed.map(({ from, to, policy }) => [from.slice(14, 19), to.slice(14, 19), policy]),
    [['00:00', '01:10', 'p']],
  )
  assert.equal(time.hasTimers, false)
  time.pass(600_000)
  account.count(2)
  time.pass(60_000)
  assert.deepEqual(sealed.map(sumOf), [3, 2])
  assert.equal(sealed[1]?.from, sealed[0]?.to)
  assert.deepEqual(account.suppressions.totals(), [{ rule: 'level:writes_only', count: 5 }])
})

test('while they change the counts are saved each second, and not without a change', (t) => {
  const account = new Account(t)
  account.count(1)
  account.time.pass(999)
  account.count(1)
  assert.deepEqual(account.savedCounts, [])
  account.time.pass(1)
  assert.deepEqual(account.savedCounts, [2])
  account.time.pass(20_000)
  assert.deepEqual(account.savedCounts, [2])
  account.count(1)
  account.time.pass(1_000)
  assert.deepEqual(account.savedCounts, [2, 3])
})

test('a program that never lets its event loop turn is saved and sealed too', (t) => {
  const account = new Account(t)
  for (let second = 0; second < 61; second += 1) {
    account.count(10)
    account.time.stall(1_000)
  }
  account.count(1)
  assert.deepEqual(account.savedCounts.slice(0, 3), [11, 21, 31])
  assert.equal(account.sealed.length, 1)
  account.seal()
  assert.equal(
    account.sealed.reduce((sum, window) => sum + sumOf(window), 0),
    611,
  )
})

test('what the spool refuses is kept, tried again each second, and sealed once', (t) => {
  const account = new Account(t)
  account.isRefusing = true
  account.count(5)
  account.time.pass(60_000)
  const tries = account.saved.filter(([window]) => window?.sealedAs !== undefined).length
  assert.equal(tries, 1)
  account.count(1)
  account.time.pass(1_000)
  assert.equal(account.saved.at(-1)?.[0]?.sealedAs, undefined, 'no record has this number')
  account.isRefusing = false
  account.time.pass(1_000)
  assert.deepEqual(account.sealed.map(sumOf), [6])
  account.time.pass(120_000)
  assert.equal(account.sealed.length, 1)
})

test('counts that no longer fit the slot are sealed at once', (t) => {
  const account = new Account(t)
  account.hasRoom = false
  account.count(1)
  account.time.pass(1_000)
  assert.equal(account.sealed.length, 1)
})

test('what was found is saved beside what is counted, and sealed first', (t) => {
  const rules = [{ id: 'disabled', operation: 'read', outcome: 'success', count: 7 } as const]
  const found: SavedWindow = { epoch: 1, from: '1', to: '2', policy: 'before', rules }
  const account = new Account(t, { found: [found], epoch: 2 })
  account.count(1)
  account.time.pass(1_000)
  assert.deepEqual(account.savedCounts, [8])
  account.seal()
  const [oldest, own] = account.saved.at(-1) ?? []
  assert.deepEqual(oldest, { ...found, sealedAs: { stream: 's', sequence: 1 } })
  assert.deepEqual([own?.epoch, own?.sealedAs], [2, undefined])
  account.seal()
  assert.deepEqual(
    account.saved.at(-1)?.map(({ epoch, sealedAs }) => [epoch, sealedAs?.sequence]),
    [[2, 2]],
  )
})

test('another policy has windows of its own, from when it began', (t) => {
  const account = new Account(t)
  account.count(1)
  account.seal()
  account.time.pass(5_000)
  account.suppressions.changePolicy('q')
  account.count(1)
  account.seal()
  assert.deepEqual(
    account.sealed.map(({ policy, from }) => [policy, from.slice(17, 19)]),
    [
      ['p', '00'],
      ['q', '05'],
    ],
  )
})

test('closing leaves what was not sealed to the next writer, and stops the clock', (t) => {
  const account = new Account(t)
  account.count(4)
  account.suppressions.close()
  account.suppressions.close()
  assert.deepEqual(account.savedCounts, [4])
  account.count(1)
  assert.equal(account.time.hasTimers, false)
  account.time.pass(120_000)
  assert.deepEqual([account.savedCounts, account.sealed.length], [[4], 0])
})

test('a clock that goes back makes no window end before it begins', (t) => {
  const account = new Account(t)
  account.count(1)
  account.time.stall(-30_000)
  account.seal()
  account.count(1)
  account.seal()
  for (const { from, to } of account.sealed) assert.ok(from <= to)
})

test('however many rules there are, one record holds all counts', (t) => {
  const account = new Account(t)
  for (let rule = 0; rule < 5_000; rule += 1) account.count(2, `rule:${'x'.repeat(100)}${rule}`)
  account.seal()
  const [window] = account.sealed
  assert.equal(window && sumOf(window), 10_000)
  assert.ok(Buffer.byteLength(JSON.stringify(window)) < 42_000)
})
