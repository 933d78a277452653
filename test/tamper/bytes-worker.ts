/** A thread that tries its part of the bytes of one source, in a copy of its own. */

import { parentPort, workerData } from 'node:worker_threads'
import type { ByteTally } from './bytes.ts'
import { type SourceTitle, tryDatabase, tryFiles, wholeTrail } from './exhaustive.ts'

export interface BytesOrder {
  readonly title: SourceTitle
  readonly step: number
  readonly from: number
  readonly everyBit: boolean
  /** Of an empty database of its own. */
  readonly url: string | undefined
}

/** Sent now and then, and with `isDone` at the end. */
export interface BytesProgress {
  readonly tally: ByteTally
  readonly isDone: boolean
}

const triesBetween = 500

const { title, url, ...stride }: BytesOrder = workerData
const say = (tally: ByteTally, isDone: boolean): void => parentPort?.postMessage({ tally, isDone })
const onTried = (tally: ByteTally): void => {
  if (tally.tried % triesBetween === 0) say(tally, false)
}
if (url !== undefined) say(await tryDatabase(url, wholeTrail(), { ...stride, onTried }), true)
else for await (const tally of tryFiles(wholeTrail(), { ...stride, onTried }, (one) => one === title)) say(tally, true)
