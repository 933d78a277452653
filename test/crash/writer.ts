/**
 * A process to be killed: opens an audit trail in argv[2], emits as fast as it can in bursts, and prints the id and
 * sequence of each record after its `emit` returned, and `durable N` after a receipt said so. argv[3]: base of ids.
 */

import { createAudit } from '../../src/index.ts'

const [directory = '', run = '0'] = process.argv.slice(2)
const audit = createAudit({
  service: 'crash',
  spool: { directory },
  policy: { level: 'all' },
  destinations: [{ type: 'file', path: `${directory}.ndjson`, flushIntervalMs: 5 }],
})
process.stdout.write(`opened ${audit.state.stream}\n`)

for (let at = 0; ; at += 1) {
  const lines: string[] = []
  for (let burst = 0; burst < 20; burst += 1) {
    const receipt = audit.emit({
      action: 'crash.test',
      operation: 'create',
      outcome: 'success',
      target: { id: `${run}-${at}-${burst}` },
      details: { pad: 'x'.repeat(at % 700) },
    })
    if (receipt.status !== 'written') throw new Error(`${receipt.status} ${JSON.stringify(receipt)}`)
    lines.push(`written ${receipt.id} ${receipt.sequence} ${receipt.stream}`)
    if (burst === 0 && at % 7 === 0) void receipt.durable.then(() => process.stdout.write(`durable ${receipt.id}\n`))
  }
  // One write for a burst: what was printed was certainly emitted before.
  process.stdout.write(`${lines.join('\n')}\n`)
  await new Promise((resolve) => setImmediate(resolve))
}
