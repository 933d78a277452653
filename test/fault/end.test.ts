/** Rows 6, 12, 14, 14b, 15 and 22: the process ends, the power fails, a destination is away. Row 5: test/crash. */

import { destinationTests } from './destinations.ts'
import { killTests, killWritten } from './kill.ts'
import { powerCutTests } from './power-cut.ts'
import { testShort } from './short.ts'
import { shutdownTests } from './shutdown.ts'

const others = killTests.filter((one) => one !== killWritten)
testShort([...others, ...powerCutTests, ...shutdownTests, ...destinationTests])
