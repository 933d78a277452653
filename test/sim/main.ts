/**
 * `npm run test:sim [-- --histories N --from SEED --script NAME --json --keep-going]`: the simulation with more
 * histories on all cores, or one replayed. Prints totals; a failing history prints the command that replays it.
 */

import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { runPool, SimThread } from './pool.ts'
import type { BatchResult, Failure } from './worker.ts'

const { values } = parseArgs({
  options: {
    histories: { type: 'string', default: '20000' },
    from: { type: 'string', default: '0' },
    script: { type: 'string' },
    json: { type: 'boolean', default: false },
    'keep-going': { type: 'boolean', default: false },
  },
})

async function run(): Promise<BatchResult> {
  const [histories, from] = [Number(values.histories), Number(values.from)]
  if (values.script !== undefined) {
    const thread = new SimThread()
    const result = await thread.run({ script: values.script })
    await thread.end()
    return result
  }
  return runPool({ histories, from, threads: availableParallelism(), keepsGoing: values['keep-going'], onProgress })
}

let toldAt = Date.now()
function onProgress(done: number, failures: number): void {
  if (Date.now() - toldAt < 5_000) return
  toldAt = Date.now()
  process.stderr.write(`${done} of ${values.histories} histories, ${failures} failures\n`)
}

function tellFailure({ replay, stack }: Failure): void {
  process.stderr.write(`${stack}\n\nreplay: npm run test:sim -- ${replay}\n\n`)
}

const startedAt = Date.now()
const { histories, totals, failures } = await run()
for (const failure of failures.slice(0, 5)) tellFailure(failure)
const seconds = Math.round((Date.now() - startedAt) / 1_000)
const summary = { histories, failures: failures.length, seconds, ...totals }
if (values.json) process.stdout.write(`${JSON.stringify(summary)}\n`)
else for (const [name, count] of Object.entries(summary)) process.stdout.write(`${name}: ${count}\n`)
if (failures.length > 0) {
  const kinds = Map.groupBy(failures, ({ message }) => message.split('\n')[0]?.replace(/[0-9a-f-]{36}|\d+/g, '…') ?? '')
  for (const [kind, all] of kinds)
    process.stderr.write(`${all.length} × ${kind}: ${all.slice(0, 3).map((one) => one.replay)}\n`)
  process.exitCode = 1
}
