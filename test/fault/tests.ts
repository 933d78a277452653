/** Every fault test, in the order of the table in docs/reliability.md. */

import { collectorTests } from './collector-dies.ts'
import { damageTests } from './damage.ts'
import { destinationTests } from './destinations.ts'
import { testsElsewhere } from './elsewhere.ts'
import { failedSyncTests } from './failed-sync.ts'
import type { FaultTest } from './fault.ts'
import { killTests } from './kill.ts'
import { lyingTests } from './lying.ts'
import { noSpaceTests } from './no-space.ts'
import { outboxTests } from './outbox.ts'
import { poisonTests } from './poison.ts'
import { postgresTests } from './postgres-dies.ts'
import { failoverTests } from './postgres-failover.ts'
import { powerCutTests } from './power-cut.ts'
import { shutdownTests } from './shutdown.ts'
import { sickDiskTests } from './sick-disk.ts'
import { twoWriterTests } from './two-writers.ts'

const all: readonly FaultTest[] = [
  ...testsElsewhere,
  ...damageTests,
  ...killTests,
  ...failedSyncTests,
  ...sickDiskTests,
  ...noSpaceTests,
  ...powerCutTests,
  ...lyingTests,
  ...twoWriterTests,
  ...destinationTests,
  ...poisonTests,
  ...collectorTests,
  ...shutdownTests,
  ...postgresTests,
  ...failoverTests,
  ...outboxTests,
]

export const faultTests: readonly FaultTest[] = all.toSorted((one, other) => rowOrder(one.row) - rowOrder(other.row))

/** `14b` stands between 14 and 15. */
function rowOrder(row: string): number {
  return Number.parseInt(row, 10) + (row.endsWith('b') ? 0.5 : 0)
}
