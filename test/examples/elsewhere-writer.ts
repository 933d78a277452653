/** `node elsewhere-writer.ts DIRECTORY clean|crash`: a trail with files that are closed often; at last a clean end, or SIGKILL. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createAudit } from '../../src/index.ts'

const [directory = '', end] = process.argv.slice(2)
const audit = createAudit({
  service: 'billing',
  deployment: 'prod',
  spool: { directory: join(directory, 'spool') },
  keys: { signingKeyFile: join(directory, 'audit.key') },
  policy: { level: 'all' },
  destinations: [
    { type: 'file', path: join(directory, 'audit.ndjson'), maxMb: 0.02, flushIntervalMs: 0, batchRecordsMax: 10 },
  ],
})
writeFileSync(join(directory, 'audit.vkey'), `# of the deployment\n${audit.verifierKey}\n`)
for (let count = 0; count < 100; count += 1) {
  audit.emit({
    action: 'invoice.delete',
    actor: { type: 'user', id: count % 2 === 0 ? 'u-ann' : 'u-bob' },
    tenant: count % 2 === 0 ? 'acme' : 'globex',
    target: { resource_type: 'invoice', id: `${count}` },
    details: { note: `Zoë "${count}"` },
  })
  if (count % 20 === 19) await audit.flush()
}
if (end === 'crash') process.kill(process.pid, 'SIGKILL')
await audit.close()
