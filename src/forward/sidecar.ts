/**
 * Forwards a spool directory from outside: the spool itself, or each of its slots, also one that appears later. Waits
 * for what is not there yet, because a sidecar may be up before the application. Owns which spools there are; each of
 * them is forwarded by itself (`sidecar-spool.ts`), so that none waits for another. What is in the sub-directory
 * `operations` is not forwarded: it has its own delivery.
 */

import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DestinationOptions } from '../destination/destination.ts'
import { destinationOfSlot, isSharedFile, slotMark } from '../destination/slot-path.ts'
import { AuditError, errorText } from '../errors.ts'
import { diskFiles, exists } from '../spool/files.ts'
import { spoolDirectories } from '../spool/instances.ts'
import type { SealFact } from './quarantine.ts'
import { type SidecarListener, SidecarSpool } from './sidecar-spool.ts'
import type { ForwarderState } from './standing.ts'

/** How often new spools are looked for, in milliseconds. */
const lookMs = 1_000

export interface SidecarParts {
  /** A spool, or the directory of its slots. */
  readonly directory: string
  /** As they were given: not yet those of a slot. */
  readonly destinations: readonly DestinationOptions[]
  readonly seal: SealFact
  readonly listener: SidecarListener
}

/** How a spool that is forwarded stands. */
export interface SidecarState {
  readonly directory: string
  /** False while another process delivers it. */
  readonly isDelivering: boolean
  readonly destinations: readonly ForwarderState[]
}

export class Sidecar {
  readonly #parts: SidecarParts
  readonly #spools = new Map<string, SidecarSpool>()

  constructor(parts: SidecarParts) {
    this.#parts = parts
  }

  states(): SidecarState[] {
    return [...this.#spools.values()].map((spool) => {
      return { directory: spool.directory, isDelivering: spool.isDelivering, destinations: spool.states() }
    })
  }

  /** Whether a spool has been found. */
  get hasSpool(): boolean {
    return this.#spools.size > 0
  }

  /** Forwards until the signal aborts. Rejects with `INVALID_OPTION` where slots would write one file. */
  async run(signal: AbortSignal): Promise<void> {
    const stopping = new AbortController()
    const all = AbortSignal.any([signal, stopping.signal])
    const running: Promise<void>[] = []
    try {
      while (!all.aborted) {
        running.push(...this.#findNew().map((spool) => this.#runSpool(spool, all)))
        await sleep(lookMs, undefined, { signal: all }).catch(() => {}) // rejects only when the signal ends the wait
      }
    } finally {
      stopping.abort()
      await Promise.all(running)
    }
  }

  /** Every spool that was found, as `SidecarSpool.drain` says; to whether all were before the signal aborted. */
  async drain(until: 'durable' | 'ended', signal: AbortSignal): Promise<boolean> {
    const drained = await Promise.all([...this.#spools.values()].map((spool) => spool.drain(until, signal)))
    return drained.every((isDrained) => isDrained)
  }

  #findNew(): SidecarSpool[] {
    const { directory } = this.#parts
    const found = spoolsIn(directory).filter((spool) => !this.#spools.has(spool))
    return found.map((spool) => {
      const slot = spool === directory ? undefined : basename(spool)
      const opened = new SidecarSpool({ ...this.#parts, directory: spool, destinations: this.#destinationsOf(slot) })
      this.#spools.set(spool, opened)
      return opened
    })
  }

  #destinationsOf(slot: string | undefined): readonly DestinationOptions[] {
    const { destinations } = this.#parts
    if (slot === undefined) return destinations
    const index = destinations.findIndex(isSharedFile)
    if (index < 0) return destinations.map((one) => destinationOfSlot(one, slot))
    throw new AuditError('INVALID_OPTION', `destinations[${index}].path has no ${slotMark}, but there are slots`, {
      setting: `destinations[${index}].path`,
      hint: `Write ${slotMark} into the path, as the application does: each slot has a file of its own.`,
    })
  }

  async #runSpool(spool: SidecarSpool, signal: AbortSignal): Promise<void> {
    try {
      await spool.run(signal)
    } catch (error) {
      this.#parts.listener.said(spool.directory, `it is not forwarded: ${errorText(error)}`)
    }
  }
}

/** The spools that are there: with a control file, so that they can be read. */
function spoolsIn(directory: string): string[] {
  if (!exists(directory)) return []
  return spoolDirectories(diskFiles, directory).filter((spool) => diskFiles.list(spool).includes('control'))
}
