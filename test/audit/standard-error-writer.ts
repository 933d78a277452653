/** Writes lines to standard error as the test that runs it asks on standard input, and answers on standard output. */

import { createInterface } from 'node:readline'
import { writeLine, writeWaiting } from '../../src/audit/standard-error.ts'

let count = 0
for await (const order of createInterface({ input: process.stdin })) {
  const [verb, bytes = 0] = order.split(' ')
  if (verb === 'line') console.log(writeLine(`${count++} `.padEnd(Number(bytes), 'x')))
  if (verb === 'drain') {
    while (!writeWaiting()) await new Promise((resolve) => setImmediate(resolve))
    console.log('drained')
  }
  if (verb === 'exit') process.exit(0)
}
