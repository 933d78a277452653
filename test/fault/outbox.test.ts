/** Row 20: the sequencer dies. */

import { outboxTests } from './outbox.ts'
import { testShort } from './short.ts'

testShort(outboxTests)
