/** Row 19: the primary dies, and its standby takes over. */

import { failoverTests } from './postgres-failover.ts'
import { testShort } from './short.ts'

testShort(failoverTests)
