/** The thread in which one of several large sources is verified; started by `verify-sources.ts`. */

import { parentPort, workerData } from 'node:worker_threads'
import type { Progress } from '../verify/reading.ts'
import { type ThreadWord, type VerifyOrder, verifyNamed } from './verify-sources.ts'

/** Groups of records between two words on how far it is. */
const groupsBetweenWords = 64

const { name, order } = workerData as { readonly name: string; readonly order: VerifyOrder }
let groups = 0
const say = (word: ThreadWord): void => parentPort?.postMessage(word)
const onProgress = (progress: Progress): void => {
  groups += 1
  if (groups % groupsBetweenWords === 0) say({ progress })
}
verifyNamed(name, order, onProgress).then(
  (report) => say({ report }),
  (thrown: unknown) => {
    throw thrown
  },
)
