/**
 * An application whose records a sidecar delivers: opens a trail with the options of argv[2] (JSON) and emits in bursts
 * until it is killed or told to be `quiet`. Prints each record after its `emit` returned. Further words on its
 * standard input: `flush`, `require NAME` (waits until this destination has a record), `close`.
 */

import { createInterface } from 'node:readline'
import { createAudit } from '../../src/index.ts'

const audit = createAudit({ service: 'app', policy: { level: 'all' }, ...JSON.parse(process.argv[2] ?? '{}') })
const print = (line: string) => process.stdout.write(`${line}\n`)
print(`opened ${audit.verifierKey}`)

let isQuiet = process.argv[3] === 'quiet'

async function obey(line: string): Promise<void> {
  const [word, name = ''] = line.split(' ')
  if (word === 'quiet' || word === 'close') isQuiet = true
  if (word === 'flush') await audit.flush()
  if (word === 'require') print(`required ${(await require(name)).status}`)
  if (word === 'close') await audit.close()
  if (word !== 'require') print(`done ${word} ${JSON.stringify(audit.state.destinations)}`)
  if (word === 'close') process.exit()
}

function require(name: string) {
  return audit.emitRequired({ action: 'app.required' }, { until: name })
}

createInterface({ input: process.stdin }).on('line', (line) => {
  obey(line).catch((error: unknown) => print(`failed ${line} ${error}`))
})

for (let at = 0; ; at += 1) {
  await new Promise((resolve) => setTimeout(resolve, 10))
  if (isQuiet) continue
  const lines: string[] = []
  for (let burst = 0; burst < 10; burst += 1) {
    const receipt = audit.emit({ action: 'app.test', details: { pad: 'x'.repeat((at * 37) % 500) } })
    if (receipt.status !== 'written') throw new Error(JSON.stringify(receipt))
    lines.push(`written ${receipt.id}`)
  }
  print(lines.join('\n')) // one write for a burst: what was printed was certainly emitted before
}
