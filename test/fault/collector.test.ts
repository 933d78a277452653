/** Row 18: the real collector, killed, refused and cut off. */

import { collectorTests } from './collector-dies.ts'
import { testShort } from './short.ts'

testShort(collectorTests)
