/** `otel-audit spool`: what a spool holds, whether it is whole, its records, and what only its operator may decide. */

import type { CommandGroup } from './command.ts'
import { check } from './spool-check.ts'
import { destination } from './spool-destination.ts'
import { exportRecords } from './spool-export.ts'
import { repair } from './spool-repair.ts'
import { status } from './spool-status.ts'

export const command: CommandGroup = {
  name: 'spool',
  summary: 'look into a spool, export its records, repair it: status, check, export, repair, destination',
  commands: [status, check, exportRecords, repair, destination],
}
