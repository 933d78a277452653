/** The loads that the benchmark of the spool puts on a keeper, and what is measured under them. */

import { pbkdf2 } from 'node:crypto'
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { context } from '@opentelemetry/api'
import { requestContext } from './event.ts'
import { type Figures, quantile } from './figures.ts'
import type { Keeper } from './spool-keeper.ts'

/** As fast as it goes, while at most so many events wait for their durability. */
export interface InFlightLoad {
  readonly kind: 'inFlight'
  readonly inFlight: number
  readonly forMs: number
}

/** A steady rate in small bursts, while four threads of libuv's pool compute all the time. */
export interface BusyPoolLoad {
  readonly kind: 'busyPool'
  readonly burstEvents: number
  readonly everyMs: number
  readonly forMs: number
}

export type KeeperLoad = InFlightLoad | BusyPoolLoad

const poolThreads = 4
const pbkdf2Iterations = 20_000 // about 15 ms

/** How long each call took, and how long until each event was durable. */
interface Samples {
  readonly appendMs: number[]
  readonly durableMs: number[]
}

/** Puts the load on the keeper, whose files lie in `directory`. Times are in microseconds. */
export async function measureKeeper(keeper: Keeper, directory: string, load: KeeperLoad): Promise<Figures> {
  const samples: Samples = { appendMs: [], durableMs: [] }
  const bytesBefore = bytesOnDisk(directory)
  const startMs = performance.now()
  const figures =
    load.kind === 'inFlight' ? await runInFlight(keeper, load, samples) : await runBusy(keeper, load, samples)
  const elapsedMs = performance.now() - startMs
  await keeper.settle()
  const events = samples.appendMs.length
  return {
    ...figures,
    perSecond: (events / elapsedMs) * 1_000,
    appendP50Us: quantile(samples.appendMs, 0.5) * 1_000,
    appendP99Us: quantile(samples.appendMs, 0.99) * 1_000,
    durableP50Us: quantile(samples.durableMs, 0.5) * 1_000,
    durableP99Us: quantile(samples.durableMs, 0.99) * 1_000,
    diskBytes: bytesOnDisk(directory) - bytesBefore,
    recordBytes: events * keeper.recordBytes(),
  }
}

async function runInFlight(keeper: Keeper, load: InFlightLoad, samples: Samples): Promise<Figures> {
  if (keeper.durable === undefined) runGroups(keeper, load, samples)
  else await runClients(keeper, load, samples)
  return {}
}

/** As many requests at a time, each of which emits, waits until its event is durable, and is followed by another. */
async function runClients(keeper: Keeper, { inFlight, forMs }: InFlightLoad, samples: Samples): Promise<void> {
  const endMs = performance.now() + forMs
  let index = 0
  const serve = async (): Promise<void> => {
    for (let nowMs = 0; nowMs < endMs; ) {
      const beforeMs = appendTimed(keeper, index++, samples)
      await keeper.durable?.()
      nowMs = performance.now()
      samples.durableMs.push(nowMs - beforeMs)
    }
  }
  const clients = Array.from({ length: inFlight }, (_, client) => context.with(requestContext(client), serve))
  await Promise.all(clients)
}

/** For keepers that block until a group is durable: they take one group after the other. */
function runGroups(keeper: Keeper, { inFlight, forMs }: InFlightLoad, samples: Samples): void {
  const endMs = performance.now() + forMs
  for (let index = 0; performance.now() < endMs; index += inFlight) runGroup(keeper, index, inFlight, samples)
}

function runGroup(keeper: Keeper, first: number, events: number, samples: Samples): void {
  const beforeMs = Array.from({ length: events }, (_, index) => appendTimed(keeper, first + index, samples))
  if (keeper.commit === undefined) return
  keeper.commit()
  const nowMs = performance.now()
  for (const appendedMs of beforeMs) samples.durableMs.push(nowMs - appendedMs)
}

/** When the call began. */
function appendTimed(keeper: Keeper, index: number, { appendMs }: Samples): number {
  const event = keeper.create(index)
  const beforeMs = performance.now()
  keeper.append(event)
  appendMs.push(performance.now() - beforeMs)
  return beforeMs
}

async function runBusy(keeper: Keeper, load: BusyPoolLoad, samples: Samples): Promise<Figures> {
  const stopPool = keepPoolBusy()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await runPaced(keeper, load, samples)
  delay.disable()
  await stopPool()
  return { loopDelayP99Us: delay.percentile(99) / 1_000 }
}

async function runPaced(keeper: Keeper, load: BusyPoolLoad, samples: Samples): Promise<void> {
  const { burstEvents, everyMs, forMs } = load
  const waiting: Promise<void>[] = []
  const startMs = performance.now()
  for (let burst = 0; burst * everyMs < forMs; burst += 1) {
    await sleep(Math.max(0, startMs + burst * everyMs - performance.now()))
    const first = burst * burstEvents
    context.with(requestContext(burst), () => {
      if (keeper.durable === undefined) runGroup(keeper, first, burstEvents, samples)
      else
        for (let index = 0; index < burstEvents; index += 1) waiting.push(appendAwaited(keeper, first + index, samples))
    })
  }
  await Promise.all(waiting)
}

async function appendAwaited(keeper: Keeper, index: number, samples: Samples): Promise<void> {
  const beforeMs = appendTimed(keeper, index, samples)
  await keeper.durable?.()
  samples.durableMs.push(performance.now() - beforeMs)
}

/** Occupies the whole pool; returns how to stop it. */
function keepPoolBusy(): () => Promise<void> {
  let stopped = false
  const compute = (done: () => void): void => {
    if (stopped) done()
    else pbkdf2('password', 'salt', pbkdf2Iterations, 64, 'sha512', () => compute(done))
  }
  const threads = Array.from({ length: poolThreads }, () => new Promise<void>(compute))
  return async () => {
    stopped = true
    await Promise.all(threads)
  }
}

/** What the files in a directory occupy, below it too. */
function bytesOnDisk(directory: string): number {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((file) => file.isFile())
    .reduce((sum, file) => sum + lstatSync(join(file.parentPath, file.name)).blocks * 512, 0)
}
