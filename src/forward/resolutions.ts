/**
 * Does what operators ask of quarantined records: sends them once more, or gives them up for this destination. Always
 * holds: the trail says what became of them before they leave the quarantine; what the destination refuses again stays.
 * After a crash between sending and sealing they are sent again, which their ids show.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { formatTimestamp, nowMs } from '../clock.ts'
import type { Delivery, Destination } from '../destination/destination.ts'
import type { StoredRecord } from '../event/record.ts'
import type { SetAsideFile } from '../spool/set-aside.ts'
import type { Bell } from './bell.ts'
import type { SealFact } from './quarantine.ts'
import type { QuarantineFolder } from './quarantine-folder.ts'
import type { ResolutionRequest } from './resolution-request.ts'

/** How often requests are looked for while anything is in quarantine, and how long a destination that does not answer is left alone, in milliseconds. */
const lookMs = 1_000
const restMs = 10_000

export interface ResolutionParts {
  readonly folders: readonly QuarantineFolder[]
  readonly destination: Pick<Destination, 'send'>
  readonly seal: SealFact
  /** Rings when something was put into quarantine. */
  readonly kept: Bell
}

export class Resolutions {
  readonly #parts: ResolutionParts

  constructor(parts: ResolutionParts) {
    this.#parts = parts
  }

  /** Looks and does what is asked, while the signal lasts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const isAnswered = await this.resolveAsked(signal)
      const { folders, kept } = this.#parts
      if (folders.every(({ isEmpty }) => isEmpty)) await kept.wait(signal)
      else await sleep(isAnswered ? lookMs : restMs, undefined, { signal }).catch(() => {}) // rejects only when it is ended
    }
  }

  /** Does what is asked now; false when the destination did not answer. */
  async resolveAsked(signal: AbortSignal): Promise<boolean> {
    let isAnswered = true
    for (const folder of this.#parts.folders) {
      for (const [run, request] of folder.asked()) {
        // One after the other: a destination may take one batch at a time only.
        isAnswered = (await this.#resolve(folder, run, { request, signal })) && isAnswered
      }
    }
    return isAnswered
  }

  async #resolve(
    folder: QuarantineFolder,
    run: SetAsideFile,
    { request, signal }: { request: ResolutionRequest; signal: AbortSignal },
  ): Promise<boolean> {
    if (request.resolution === 'retry') {
      const delivery = await this.#sendAgain(folder.recordsOf(run), signal)
      if (delivery.status === 'retry') return false
      if (delivery.status === 'rejected') {
        folder.answer(run, { reason: delivery.reason, answered: formatTimestamp(nowMs()) })
        return true
      }
    }
    if (await this.#parts.seal(folder.resolutionOf(run, request), signal)) folder.release(run)
    return true
  }

  /** Each by itself, as the first was refused; ends with what is not delivered. */
  async #sendAgain(records: readonly StoredRecord[], signal: AbortSignal): Promise<Delivery> {
    let delivery: Delivery = { status: 'delivered' }
    for (const record of records) {
      if (signal.aborted) return { status: 'retry', reason: 'stopped' }
      // In their order.
      delivery = await this.#parts.destination.send({ records: [record], bytes: record.bytes.length }, signal)
      if (delivery.status !== 'delivered') break
    }
    return delivery
  }
}
