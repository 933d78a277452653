/** The loads that the benchmarks of emission put on an emitter, and what is measured under them. */

import { setTimeout as sleep, setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { context } from '@opentelemetry/api'
import type { Emitter } from './emitter.ts'
import { requestContext } from './event.ts'
import { type Figures, quantile } from './figures.ts'

/** A steady rate in small bursts, each one request of a service: emission, then back to the event loop. */
export interface PacedLoad {
  readonly kind: 'paced'
  readonly events: number
  readonly burstEvents: number
  readonly everyMs: number
}

/** Bursts without a pause inside; after each one everything is sent before the next begins. */
export interface BurstLoad {
  readonly kind: 'bursts'
  readonly bursts: number
  readonly burstEvents: number
}

/** As fast as the emitter takes events without loss, until the sink has confirmed them all. */
export interface StreamLoad {
  readonly kind: 'stream'
  readonly events: number
}

export type Load = PacedLoad | BurstLoad | StreamLoad

const streamBurstEvents = 64

/** Puts the load on the emitter and returns what it cost. Times per event are in microseconds. */
export async function measureLoad(emitter: Emitter, load: Load): Promise<Figures> {
  const [thread, whole, startMs] = [process.threadCpuUsage(), process.cpuUsage(), performance.now()]
  const [events, figures] = await run(emitter, load)
  const elapsedMs = performance.now() - startMs
  const threadUsage = process.threadCpuUsage(thread)
  const wholeUsage = process.cpuUsage(whole)
  return {
    ...figures,
    perSecond: (events / elapsedMs) * 1_000,
    threadCpuUs: (threadUsage.user + threadUsage.system) / events,
    processCpuUs: (wholeUsage.user + wholeUsage.system) / events,
  }
}

async function run(emitter: Emitter, load: Load): Promise<readonly [events: number, figures: Figures]> {
  if (load.kind === 'paced') return [load.events, await runPaced(emitter, load)]
  if (load.kind === 'bursts') return [load.bursts * load.burstEvents, await runBursts(emitter, load)]
  return [load.events, await runStream(emitter, load)]
}

async function runPaced(emitter: Emitter, { events, burstEvents, everyMs }: PacedLoad): Promise<Figures> {
  const callMs = new Float64Array(events)
  const startMs = performance.now()
  for (let index = 0; index < events; index += burstEvents) {
    const dueMs = startMs + (index / burstEvents) * everyMs - performance.now()
    if (dueMs > 0) await sleep(dueMs)
    else await yieldToEventLoop() // late: catch up, but let others have their turn
    const end = Math.min(events, index + burstEvents)
    context.with(requestContext(index), () => emitTimed(emitter, callMs.subarray(index, end), index))
  }
  await emitter.settle()
  return { callP50Us: quantile(callMs, 0.5) * 1_000, callP99Us: quantile(callMs, 0.99) * 1_000 }
}

function emitTimed(emitter: Emitter, callMs: Float64Array, first: number): void {
  for (let index = 0; index < callMs.length; index += 1) {
    const event = emitter.create(first + index)
    const before = performance.now()
    emitter.emit(event)
    callMs[index] = performance.now() - before
  }
}

async function runBursts(emitter: Emitter, { bursts, burstEvents }: BurstLoad): Promise<Figures> {
  let busyMs = 0
  for (let burst = 0; burst < bursts; burst += 1) {
    const events = Array.from({ length: burstEvents }, (_, index) => emitter.create(index))
    const before = performance.now()
    context.with(requestContext(burst), () => {
      for (const event of events) emitter.emit(event)
    })
    busyMs += performance.now() - before
    await emitter.settle() // the batch processor's queue must not overflow
  }
  return { callMeanUs: (busyMs / (bursts * burstEvents)) * 1_000 }
}

async function runStream(emitter: Emitter, { events }: StreamLoad): Promise<Figures> {
  for (let index = 0; index < events; index += streamBurstEvents) {
    await (emitter.room(streamBurstEvents) ?? yieldToEventLoop())
    const end = Math.min(events, index + streamBurstEvents)
    context.with(requestContext(index), () => {
      for (let at = index; at < end; at += 1) emitter.emit(emitter.create(at))
    })
  }
  await emitter.settle()
  return {}
}
