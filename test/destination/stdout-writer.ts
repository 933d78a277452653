/** Run by stdout.test.ts: writes batches to standard output until one fails, and tells on standard error. */

import { createStdoutDestination } from '../../src/destination/stdout.ts'
import { batchOf } from './records.ts'

const batches = Number(process.argv[2])
const destination = createStdoutDestination({ type: 'stdout' })
let turns = 0
const turning = setInterval(() => {
  turns += 1
  if (turns === 5) process.stderr.write('alive\n')
}, 10)
let status = 'delivered'
for (let batch = 0; batch < batches && status === 'delivered'; batch++) {
  const delivery = await destination.send(batchOf(batch * 100 + 1, batch * 100 + 100), new AbortController().signal)
  status = delivery.status
  if (delivery.status !== 'delivered') process.stderr.write(`${delivery.status} ${delivery.reason}\n`)
}
clearInterval(turning)
await destination.close()
