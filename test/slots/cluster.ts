/**
 * A `node:cluster` application: the primary and its workers share argv[2], each with a trail of its own. Every one emits
 * 100 events and prints its slot; the primary kills one worker, starts another in its place, and ends when told so.
 */

import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { createAudit } from '../../src/index.ts'

const [parent = ''] = process.argv.slice(2)
const audit = createAudit({
  service: 'cluster',
  spool: { directory: parent, instances: 'slots' },
  policy: { level: 'all' },
  destinations: [{ type: 'file', path: `${parent}/{slot}.ndjson`, flushIntervalMs: 10 }],
})
const role = cluster.isPrimary ? 'primary' : 'worker'
for (let at = 0; at < 100; at += 1) audit.emit({ action: `${role}.${at}` })
console.log(role, audit.state.slot)

if (cluster.isPrimary) await runPrimary()
else process.on('message', () => void end())

async function runPrimary(): Promise<void> {
  const workers = [cluster.fork(), cluster.fork(), cluster.fork()]
  await Promise.all(workers.map(untilReady))
  const [first, ...others] = workers
  first?.process.kill('SIGKILL')
  if (first !== undefined) await once(first, 'exit')
  const next = cluster.fork()
  await untilReady(next)
  for (const worker of [...others, next]) worker.send('end')
  await Promise.all([...others, next].map((worker) => once(worker, 'exit')))
  console.log('workers ended')
  await end()
}

function untilReady(worker: Worker): Promise<unknown> {
  return once(worker, 'message')
}

async function end(): Promise<void> {
  await audit.close()
  process.exit()
}

process.send?.('ready')
