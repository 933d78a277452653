/** Rows 4, 11, 13, 16 and 21: what is on the disk is not what was left there, or not alone. */

import { damageTests } from './damage.ts'
import { lyingTests } from './lying.ts'
import { testShort } from './short.ts'
import { twoWriterTests } from './two-writers.ts'

testShort([...damageTests, ...lyingTests, ...twoWriterTests])
