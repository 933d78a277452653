/**
 * A process to be hurt: opens a real audit trail, emits numbered events at a pace, and prints one line for each thing
 * that it was promised, so that what was acknowledged survives it. argv[2] is a `WriterOrder` as JSON.
 *
 *   opened {pid, stream, openMs, epoch}   written ID SEQUENCE STREAM   durable ID SEQUENCE   rejected ID
 *   emergency REASON   state STATE   figures {loopDelayMaxMs, rssMaxBytes, emitMaxMs}   closed MS
 */

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type AuditOptions, createAudit } from '../../src/index.ts'

export interface WriterOrder {
  readonly audit: AuditOptions
  /** Base of the events' ids. */
  readonly run: string
  /** How many events; without it, for ever. */
  readonly count?: number
  /** Events between two returns to the event loop. Default: 20. */
  readonly burst?: number
  /** Pause after each burst. Default: none. */
  readonly paceMs?: number
  /** Wait for the last event of each burst to be durable before the next. */
  readonly awaitDurable?: boolean
  /** Every so many events the receipt's `durable` is observed. Default: 20. */
  readonly observeEvery?: number
  /** Bytes of padding; without it, from 0 to 700 in turn. */
  readonly padBytes?: number
  /** What comes after the last event. Default: `close`. */
  readonly finish?: 'close' | 'stay' | 'exit' | 'throw' | 'end' | 'sigterm'
  /** Keep one core busy on a thread of its own for the whole run. */
  readonly busyThreads?: number
}

const order = JSON.parse(process.argv[2] ?? '{}') as WriterOrder
const { run, count = Number.POSITIVE_INFINITY, burst = 20, observeEvery = 20 } = order
const say = (line: string): void => void process.stdout.write(`${line}\n`)

const openingAt = performance.now()
const audit = createAudit({ service: 'fault', policy: { level: 'all' }, ...order.audit })
const openMs = Math.round(performance.now() - openingAt)
say(`opened ${JSON.stringify({ pid: process.pid, stream: audit.state.stream, openMs })}`)

const delay = monitorEventLoopDelay({ resolution: 5 })
let rssMaxBytes = 0
let emitMaxMs = 0
let lastState = ''
const figures = setInterval(measure, 250)
figures.unref()
if (order.busyThreads !== undefined) await keepBusy(order.busyThreads)
delay.enable()
if (order.finish === 'sigterm') process.on('SIGTERM', () => void audit.close().then(() => process.exit(0)))

for (let at = 0; at < count; ) at = await emitBurst(at)
await end()

/** One write to standard output for a burst: what was printed was certainly emitted before. */
async function emitBurst(from: number): Promise<number> {
  const lines: string[] = []
  const to = Math.min(from + burst, count)
  let last: Promise<void> | undefined
  for (let at = from; at < to; at += 1) {
    const startedAt = performance.now()
    const receipt = audit.emit(eventOf(at))
    emitMaxMs = Math.max(emitMaxMs, performance.now() - startedAt)
    if (receipt.status === 'emergency') lines.push(`emergency ${receipt.reason}`)
    if (receipt.status !== 'written') continue
    lines.push(`written ${receipt.id} ${receipt.sequence} ${receipt.stream}`)
    const { id, sequence } = receipt
    if (order.awaitDurable || at % observeEvery === 0) {
      last = receipt.durable.then(
        () => say(`durable ${id} ${sequence}`),
        () => say(`rejected ${id}`),
      )
    }
  }
  say(lines.join('\n'))
  if (audit.state.spool !== lastState) say(`state ${audit.state.spool}`)
  lastState = audit.state.spool
  if (order.awaitDurable) await last
  await new Promise((resolve) =>
    order.paceMs === undefined ? setImmediate(resolve) : setTimeout(resolve, order.paceMs),
  )
  return to
}

function eventOf(at: number) {
  const pad = 'x'.repeat(order.padBytes ?? at % 700)
  return {
    action: 'fault.test',
    operation: 'create' as const,
    outcome: 'success' as const,
    target: { id: `${run}-${at}` },
    details: { pad },
  }
}

async function end(): Promise<void> {
  measure()
  say(`figures ${JSON.stringify({ loopDelayMaxMs: Math.round(delay.max / 1e6), rssMaxBytes, emitMaxMs })}`)
  if (order.finish === 'exit') process.exit(3)
  if (order.finish === 'throw') throw new Error('thrown by the application')
  if (order.finish === 'stay' || order.finish === 'sigterm') setInterval(() => say('alive'), 200)
  if (order.finish !== undefined && order.finish !== 'close') return
  const closingAt = performance.now()
  await audit.close()
  say(`closed ${Math.round(performance.now() - closingAt)}`)
}

function measure(): void {
  rssMaxBytes = Math.max(rssMaxBytes, process.memoryUsage.rss())
}

async function keepBusy(threads: number): Promise<void> {
  const { Worker } = await import('node:worker_threads')
  for (let made = 0; made < threads; made += 1) new Worker('for (;;) ;', { eval: true }).unref()
}
