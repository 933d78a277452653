/**
 * A program that fills its spool until events go to standard error, says `full`, waits for a line on standard input and
 * goes on until the spool takes events again. Its last line on standard output is what happened, as JSON.
 */

import { once } from 'node:events'
import { type AuditOptions, createAudit, type Receipt } from '../../src/index.ts'
import { Spool } from '../../src/spool/spool.ts'

export interface Filled {
  /** Status of each event, in order; event n has the action `e<n>`. */
  readonly statuses: readonly string[]
  /** How often an event has waited for room, until the spool was full. */
  readonly waits: number
  readonly whenFull: { readonly spool: string; readonly ready: boolean; readonly reasons: readonly string[] }
  readonly afterwards: { readonly spool: string; readonly ready: boolean; readonly emergencies: number }
}

const options = JSON.parse(process.argv[2] ?? '{}') as AuditOptions
let waits = 0
const { waitForRoom } = Spool.prototype
Spool.prototype.waitForRoom = function (limitMs: number) {
  waits += 1
  return waitForRoom.call(this, limitMs)
}

const audit = createAudit({ ...options, policy: { level: 'all' }, closeTimeoutMs: 20_000 })
const statuses: string[] = []
const emitOne = (): Receipt => {
  const receipt = audit.emit({ action: `e${statuses.length}`, details: { pad: 'x'.repeat(2_000) } })
  statuses.push(receipt.status)
  return receipt
}
const emit = () => emitOne().status
const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

let emergencies = 0
while (emergencies < 5) {
  const receipt = emitOne()
  emergencies = receipt.status === 'emergency' ? emergencies + 1 : 0
  // The sync thread keeps up, so that there are many segments and none of them holds much.
  if (receipt.status === 'written' && statuses.length % 4 === 0) await receipt.durable
}
while (audit.state.spool !== 'full') await nextTurn()
const { spool, ready, reasons } = audit.state
const waitsWhenFull = waits
console.log('full')
const [line] = (await once(process.stdin, 'data')) as [Buffer]
if (line.toString() === 'exit\n') {
  const afterwards = { spool: 'full', ready: false, emergencies: audit.state.emergencies }
  console.log(
    JSON.stringify({
      statuses,
      waits: waitsWhenFull,
      whenFull: { spool, ready, reasons },
      afterwards,
    } satisfies Filled),
  )
  process.exit(0)
}
if (line.toString() === 'recover\n') {
  while (emit() !== 'written') await new Promise((resolve) => setTimeout(resolve, 5))
  for (let more = 0; more < 3; more += 1) emit()
  await audit.flush()
}
const state = audit.state
await audit.close()
const afterwards = { spool: state.spool, ready: state.ready, emergencies: state.emergencies }
console.log(
  JSON.stringify({ statuses, waits: waitsWhenFull, whenFull: { spool, ready, reasons }, afterwards } satisfies Filled),
)
process.stdin.destroy()
