/** Rows 7 to 10 and 24: a disk that fails, or has no room. */

import { failedSyncTests } from './failed-sync.ts'
import { noSpaceTests } from './no-space.ts'
import { testShort } from './short.ts'
import { sickDiskTests } from './sick-disk.ts'

testShort([...failedSyncTests, ...sickDiskTests, ...noSpaceTests])
