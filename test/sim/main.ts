/** `npm run test:sim [-- --histories N --from SEED]`: the simulation with more histories, or one replayed. */

import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: { histories: { type: 'string', default: '20000' }, from: { type: 'string', default: '0' } },
})
const env = { ...process.env, AUDIT_SIM_HISTORIES: values.histories, AUDIT_SIM_FROM: values.from }
const file = new URL('./sim.test.ts', import.meta.url).pathname
const run = spawnSync(process.execPath, ['--test', '--test-reporter=spec', file], { env, stdio: 'inherit' })
process.exitCode = run.status ?? 1
