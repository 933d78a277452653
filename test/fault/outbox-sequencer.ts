/**
 * A process that seals an outbox and kills itself at a step of its work. argv[2] is a `SequencerOrder` as JSON. Without
 * a step it seals until SIGTERM. Nothing of the product is replaced: the connection is watched, and that is all.
 */

import { admitForeign } from '../../src/policy/foreign.ts'
import { compilePolicy } from '../../src/policy/policy.ts'
import { compileRedaction } from '../../src/policy/redact.ts'
import { type Connection, createConnection } from '../../src/postgres/client.ts'
import { SeenHeadFile } from '../../src/postgres/seen-head.ts'
import { Sequencing } from '../../src/postgres/sequencing.ts'
import { makeKeys } from '../support/trail.ts'
import type { KillStep, SequencerOrder } from './outbox-order.ts'

const order = JSON.parse(process.argv[2] ?? '{}') as SequencerOrder
let met = 0

function come(step: KillStep): void {
  if (step !== order.step) return
  met += 1
  if (met === (order.at ?? 1)) process.kill(process.pid, 'SIGKILL')
}

function stepBehind(text: string, rows: number): KillStep | undefined {
  if (text.includes('for update of j')) return rows > 0 ? 'locked' : undefined
  if (text.includes('delete from audit.outbox')) return rows > 0 ? 'claimed' : undefined
  if (text.includes('audit.append')) return 'inserted'
  return text === 'commit' ? 'committed' : undefined
}

function connect(): Connection {
  const connection = createConnection({ url: order.url })
  return {
    open: () => connection.open(),
    end: () => connection.end(),
    destroy: () => connection.destroy(),
    async query<Row extends object>(text: string, values?: unknown[]) {
      if (text === 'commit') come('before commit')
      const result = await connection.query<Row>(text, values)
      const step = stepBehind(text, result.rows?.length ?? 0)
      if (step !== undefined) come(step)
      return result
    },
  }
}

const redaction = compileRedaction({})
const policy = compilePolicy({ level: 'all' })
const stopping = new AbortController()
process.on('SIGTERM', () => stopping.abort())
await new Sequencing({
  url: order.url,
  connect,
  signer: makeKeys('fault').signer,
  service: 'fault',
  admit: (input) => admitForeign(input, policy, redaction),
  seen: new SeenHeadFile(order.directory),
}).run(stopping.signal)
