/** A thread that runs histories, a batch at a time: the clocks and identifiers of a thread are one history's. */

import { parentPort } from 'node:worker_threads'
import { runHistory } from './history.ts'
import { scripts } from './scripted.ts'

/** Some seeds, or the name of a scripted history. */
export type Batch = { readonly from: number; readonly count: number } | { readonly script: string }

export interface Failure {
  /** What to give to `npm run test:sim` to see it again. */
  readonly replay: string
  readonly message: string
  readonly stack: string
}

/** What came of a batch: counts of what was done, and the first history that failed. */
export interface BatchResult {
  readonly histories: number
  readonly totals: Readonly<Record<string, number>>
  readonly failures: readonly Failure[]
}

export function runBatch(batch: Batch): BatchResult {
  if ('script' in batch) return runScript(batch.script)
  const totals: Record<string, number> = {}
  const failures: Failure[] = []
  for (let seed = batch.from; seed < batch.from + batch.count; seed += 1) {
    try {
      for (const [name, count] of Object.entries(runHistory(seed))) totals[name] = (totals[name] ?? 0) + count
    } catch (error) {
      failures.push(failureOf(error, `--histories 1 --from ${seed}`))
    }
  }
  return { histories: batch.count, totals, failures }
}

function runScript(name: string): BatchResult {
  try {
    const script = scripts[name]
    if (script === undefined) throw new Error(`no scripted history is called ${name}`)
    script()
    return { histories: 1, totals: {}, failures: [] }
  } catch (error) {
    return { histories: 1, totals: {}, failures: [failureOf(error, `--script '${name}'`)] }
  }
}

function failureOf(error: unknown, replay: string): Failure {
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error))
  return { replay, message, stack }
}

parentPort?.on('message', (batch: Batch) => parentPort?.postMessage(runBatch(batch)))
