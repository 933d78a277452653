/** Row 19: the database dies, refuses, or comes back as an older copy. */

import { postgresTests } from './postgres-dies.ts'
import { testShort } from './short.ts'

testShort(postgresTests)
