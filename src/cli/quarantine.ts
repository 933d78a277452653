/** `otel-audit quarantine`: the records that destinations have refused for ever, and what an operator decides about them. */

import type { CommandGroup } from './command.ts'
import { list, show } from './quarantine-look.ts'
import { discard, retry } from './quarantine-resolve.ts'

export const command: CommandGroup = {
  name: 'quarantine',
  summary: 'records that a destination refused: list, show, retry, discard',
  commands: [list, show, retry, discard],
}
