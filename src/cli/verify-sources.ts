/**
 * Verifies the sources of one run. Large ones, when there are several, are each verified in a thread of their own, as many
 * at a time as there are processors; everything else here, one after the other. Reports stand in the order of the sources,
 * and are the same wherever they were made.
 */

import { readdirSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Verifier } from '../chain/note.ts'
import { AuditError } from '../errors.ts'
import type { Progress } from '../verify/reading.ts'
import type { SourceReport } from '../verify/report.ts'
import type { KeptCheckpoint } from '../verify/since.ts'
import { openSource } from '../verify/sources.ts'
import { parseTrust } from '../verify/trust-file.ts'
import { verifySource } from '../verify/verify.ts'

/** From this size on a source is worth a thread, which takes a quarter of a second to start. */
const largeBytes = 64 * 2 ** 20

/** How sources are verified, as it is handed to a thread. */
export interface VerifyOrder {
  readonly verifiers: readonly Verifier[]
  /** The text of the trust file. */
  readonly trust: string | undefined
  readonly since: readonly KeptCheckpoint[]
  readonly isFirstUse?: boolean
  readonly allowUnanchored: boolean
  readonly allowPartial: boolean
}

/** What a thread says: how far it is, and in the end its report. */
export type ThreadWord = { readonly progress: Progress } | { readonly report: SourceReport }

export type OnProgress = (progress: Progress) => void

export async function verifyAll(
  names: readonly string[],
  order: VerifyOrder,
  { onProgress, threadBytes = largeBytes }: { readonly onProgress: OnProgress; readonly threadBytes?: number },
): Promise<SourceReport[]> {
  const large = names.filter((name) => bytesOf(name) >= threadBytes)
  const inThreads = large.length > 1 ? large : []
  const made = new Map<string, Promise<SourceReport>>()
  const waiting = [...inThreads]
  const work = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const report = verifyInThread(name, order, onProgress)
      made.set(name, report)
      await report // each of these workers has one thread at a time
    }
  }
  const working = Promise.all(Array.from({ length: Math.min(inThreads.length, availableParallelism()) }, work))
  working.catch(() => {}) // heard below
  const here = new Map<string, SourceReport>()
  for (const name of names) if (!inThreads.includes(name)) here.set(name, await verifyNamed(name, order, onProgress))
  await working
  return Promise.all(
    names.map(async (name) => here.get(name) ?? (await made.get(name)) ?? unreadable(name, 'not read')),
  )
}

/** One source that cannot be opened does not keep the others from being verified. */
export async function verifyNamed(name: string, order: VerifyOrder, onProgress: OnProgress): Promise<SourceReport> {
  const { verifiers, since, isFirstUse, allowUnanchored, allowPartial } = order
  const trust = order.trust === undefined ? undefined : parseTrust(order.trust)
  if (typeof trust === 'string') throw new Error(trust)
  try {
    const how = { verifiers, trust, since, isFirstUse, allowUnanchored, allowPartial, onProgress }
    return await verifySource(await openSource(name), how)
  } catch (thrown) {
    if (!(thrown instanceof AuditError) || thrown.code !== 'SOURCE_UNREADABLE') throw thrown
    return unreadable(name, `${thrown.message}; ${thrown.hint}`)
  }
}

function verifyInThread(name: string, order: VerifyOrder, onProgress: OnProgress): Promise<SourceReport> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const url = new URL(`./verify-thread.${extension}`, import.meta.url)
  // What the program was started with would run again in each thread.
  const env = { ...process.env, NODE_OPTIONS: '' }
  const thread = new Worker(url, { workerData: { name, order }, execArgv: [], env, name: 'otel-audit verify' })
  return new Promise((resolve, reject) => {
    thread.on('message', (word: ThreadWord) => {
      if ('report' in word) resolve(word.report)
      else onProgress(word.progress)
    })
    thread.on('error', reject)
    thread.on('exit', () => reject(new Error(`the thread that verified ${name} ended without a report`)))
  })
}

function unreadable(name: string, reason: string): SourceReport {
  const nothing = { records: 0, checkpoints: 0, streams: [], findings: [], findingCounts: {}, observations: [] }
  return { name, kind: 'unknown', verdict: 'UNREADABLE', exitCode: 2, ...nothing, unreadable: [{ reason }] }
}

/** Bytes of a file or of the files in a folder; of a server, which nobody knows, more than any. */
function bytesOf(name: string): number {
  if (name === '-') return 0 // only this thread has it
  if (name.includes('://')) return Number.POSITIVE_INFINITY
  try {
    const found = statSync(name)
    if (!found.isDirectory()) return found.size
    return readdirSync(name).reduce((sum, each) => sum + statSync(join(name, each)).size, 0)
  } catch {
    return 0 // whoever opens it says why it cannot be read
  }
}
