/**
 * One of several processes that share a directory: opens a trail with slots on argv[2], delivers to the OTLP endpoint
 * argv[3] and to a file of its slot, and emits in bursts until it is killed or told `close`. Prints each record after its
 * `emit` returned. argv[4]: how many bursts; without it no end.
 */

import { createInterface } from 'node:readline'
import { createAudit } from '../../src/index.ts'

const [parent = '', endpoint = '', bursts = 'Infinity'] = process.argv.slice(2)
const audit = createAudit({
  service: 'fleet',
  spool: { directory: parent, instances: 'slots' },
  policy: { level: 'all' },
  destinations: [
    { type: 'otlp', endpoint, protocol: 'http/json', flushIntervalMs: 20 },
    { type: 'file', path: `${parent}/{slot}.ndjson`, flushIntervalMs: 20 },
  ],
})
process.stdout.write(`opened ${audit.state.slot} ${audit.verifierKey}\n`)
createInterface({ input: process.stdin }).on('line', async (line) => {
  if (line !== 'close') return
  await audit.close()
  process.exit()
})

for (let at = 0; at < Number(bursts); at += 1) {
  const lines: string[] = []
  for (let burst = 0; burst < 10; burst += 1) {
    const receipt = audit.emit({ action: 'fleet.test', details: { pad: 'x'.repeat((at * 37) % 500) } })
    if (receipt.status !== 'written') throw new Error(JSON.stringify(receipt))
    lines.push(`written ${receipt.id}`)
  }
  // One write for a burst: what was printed was certainly emitted before.
  process.stdout.write(`${lines.join('\n')}\n`)
  await new Promise((resolve) => setTimeout(resolve, 20))
}
