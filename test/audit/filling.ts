/**
 * A program that fills its spool until events go to standard error, says `full`, waits for a line on standard input and
 * goes on until the spool takes events again. Its last line on standard output is what happened, as JSON.
 */

import { once } from 'node:events'
import { type AuditOptions, createAudit } from '../../src/index.ts'
import { Spool } from '../../src/spool/spool.ts'

export interface Filled {
  /** Status of each event, in order; event n has the action `e<n>`. */
  readonly statuses: readonly string[]
  /** How often an event has waited for room. */
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
const emit = (): string => {
  const { status } = audit.emit({ action: `e${statuses.length}`, details: { pad: 'x'.repeat(2_000) } })
  statuses.push(status)
  return status
}
const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

let emergencies = 0
while (emergencies < 5) {
  emergencies = emit() === 'emergency' ? emergencies + 1 : 0
  if (statuses.length % 8 === 0) await nextTurn()
}
while (audit.state.spool !== 'full') await nextTurn()
const { spool, ready, reasons } = audit.state
console.log('full')
const [line] = (await once(process.stdin, 'data')) as [Buffer]
if (line.toString() === 'exit\n') {
  const afterwards = { spool: 'full', ready: false, emergencies: audit.state.emergencies }
  console.log(JSON.stringify({ statuses, waits, whenFull: { spool, ready, reasons }, afterwards } satisfies Filled))
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
console.log(JSON.stringify({ statuses, waits, whenFull: { spool, ready, reasons }, afterwards } satisfies Filled))
process.stdin.destroy()
