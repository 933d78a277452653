/** Tries every byte of a source in several threads, each in a copy of its own. */

import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { queryOnce } from '../support/postgres.ts'
import { type ByteTally, emptyTally, joinTallies } from './bytes.ts'
import type { BytesOrder, BytesProgress } from './bytes-worker.ts'
import type { SourceTitle } from './exhaustive.ts'

/** Short-lived buffers are most of what a try leaves. */
const youngMegabytes = 128

export interface ShareOptions {
  readonly title: SourceTitle
  readonly threads: number
  readonly step: number
  readonly everyBit: boolean
  /** Of a server where databases may be made. */
  readonly server: string | undefined
  readonly onProgress: (tried: number) => void
}

export async function tryInThreads(options: ShareOptions): Promise<ByteTally> {
  const { title, threads, step, everyBit, server, onProgress } = options
  const tried = new Map<number, number>()
  const shares = Array.from({ length: threads }, async (_, index) => {
    const url = server === undefined ? undefined : await makeDatabase(server, index)
    const order: BytesOrder = { title, step: step * threads, from: index * step, everyBit, url }
    return tryShare(order, (tally) => {
      tried.set(index, tally.tried)
      onProgress([...tried.values()].reduce((sum, one) => sum + one, 0))
    })
  })
  return joinTallies([emptyTally(title), ...(await Promise.all(shares))])
}

async function tryShare(order: BytesOrder, onTried: (tally: ByteTally) => void): Promise<ByteTally> {
  const worker = new Worker(join(import.meta.dirname, 'bytes-worker.ts'), {
    workerData: order,
    resourceLimits: { maxYoungGenerationSizeMb: youngMegabytes },
  })
  let last: BytesProgress | undefined
  worker.on('message', (progress: BytesProgress) => {
    last = progress
    onTried(progress.tally)
  })
  await once(worker, 'exit') // rejects with what the thread has thrown
  if (last?.isDone !== true) throw new Error(`${order.title}: a thread ended before its bytes`)
  return last.tally
}

async function makeDatabase(server: string, index: number): Promise<string> {
  const name = `audit_bytes_${index}`
  await queryOnce(server, `create database ${name}`)
  return new URL(`/${name}`, server).href
}
