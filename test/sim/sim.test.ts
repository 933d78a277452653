/**
 * The spool on a simulated disk: random histories of appends, syncs, deliveries, kills and power cuts, each from one
 * seed. `npm run test:sim -- --histories 100000 --from 5000` runs more of them, or others.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DiskFaults } from './disk.ts'
import { History, type HistoryCounts } from './history.ts'

const { AUDIT_SIM_HISTORIES = '1500', AUDIT_SIM_FROM = '0' } = process.env
const histories = Number(AUDIT_SIM_HISTORIES)
const from = Number(AUDIT_SIM_FROM)

test(`${histories} histories from seed ${from}: nothing promised is lost, nothing is called damaged, no number comes twice`, (t) => {
  const total: HistoryCounts = { kills: 0, cuts: 0, recoveries: 0, written: 0, streams: 0 }
  for (let seed = from; seed < from + histories; seed += 1) {
    try {
      const counts = new History(seed).run()
      for (const name of Object.keys(total) as (keyof HistoryCounts)[]) total[name] += counts[name]
    } catch (error) {
      throw new Error(`seed ${seed} fails; replay: npm run test:sim -- --histories 1 --from ${seed}`, { cause: error })
    }
  }
  assert.ok(total.kills > 0 && total.cuts > 0 && total.written > histories)
  t.diagnostic(
    `${total.kills} kills, ${total.cuts} power cuts, ${total.written} records, ${total.recoveries} recoveries`,
  )
})

const mutants: readonly (readonly [name: string, faults: DiskFaults])[] = [
  ['credit without a sync', { ignoreSyncsOf: /^seg-\d+\.wal$/ }],
  ['a name given before what it names is synced', { ignoreSyncsOf: /\.tmp$/ }],
  ['no sync of the directory', { ignoreDirectorySyncs: true }],
]

for (const [name, faults] of mutants) {
  test(`the simulation catches a broken design: ${name}`, () => {
    for (let seed = 0; seed < 2_000; seed += 1) {
      try {
        new History(seed, faults).run()
      } catch {
        return
      }
    }
    assert.fail('2,000 histories found nothing wrong with it')
  })
}
