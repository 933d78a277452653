/** The client of the witnesses on a thread of its own. */

import type { MessagePort } from 'node:worker_threads'
import { diskFiles } from '../spool/files.ts'
import { Positions } from '../spool/positions.ts'
import { type Offer, WitnessClient, type WitnessOptions, type WitnessWord } from './client.ts'
import type { Kept } from './progress-file.ts'

/** What the thread is started with. */
export interface WitnessingStart {
  /** The spool directory. */
  readonly directory: string
  /** Where the durable position is published. */
  readonly memory: SharedArrayBuffer
  readonly witnesses: readonly WitnessOptions[]
}

export type WitnessingOrder =
  | { readonly kind: 'offer'; readonly offer: Offer }
  /** What could not be sealed. */
  | { readonly kind: 'keep'; readonly kept: Kept }
  | { readonly kind: 'end' }

/** Runs until it is told to end. */
export function runWitnessing({ directory, memory, witnesses }: WitnessingStart, port: MessagePort): void {
  const positions = new Positions(memory)
  const spool = { files: diskFiles, directory, durable: () => positions.durable() }
  const say = (word: WitnessWord): void => port.postMessage(word)
  const client = new WitnessClient({ spool, witnesses, say })
  port.on('message', (order: WitnessingOrder) => {
    if (order.kind === 'offer') client.offer(order.offer)
    else if (order.kind === 'keep') client.keep(order.kept)
    else void client.end().then(() => port.close())
  })
}
