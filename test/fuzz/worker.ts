/** A thread that tries one target after the other, as long as another is left. */

import { parentPort, workerData } from 'node:worker_threads'
import { type FuzzOptions, fuzzOne } from './fuzz.ts'

const { next, count, ...options }: FuzzOptions & { readonly next: Int32Array; readonly count: number } = workerData
// The dear ones, which stand last, begin first.
for (let taken = Atomics.add(next, 0, 1); taken < count; taken = Atomics.add(next, 0, 1)) {
  const at = count - 1 - taken
  parentPort?.postMessage({ at, result: await fuzzOne(at, options) })
}
