/**
 * The control file: what recovery starts from. Slots 0 and 1 alternate and are synced; slot 2 publishes the durable
 * position to other processes and is not; slot 3 is kept for suppression counts. The sync thread alone rewrites them
 * while the spool is open; recovery replaces the whole file by rename, because its newest slot may exist only in
 * cache and overwriting the other one before a power cut would leave both bad.
 */

import type { ControlFact } from '../event/record.ts'
import type { Files } from './files.ts'
import { isBefore, type SpoolPosition } from './format.ts'
import { controlDamaged, controlPath, noSpool } from './refusals.ts'
import type { OpenDirectory } from './segment.ts'
import { encodeSlot, newest, readSlot, slotBytes } from './slots.ts'

/** A durable place in the spool with all that is needed to go on from there. */
export interface Watermark extends SpoolPosition {
  readonly nextSequence: number
  /** Number of the last frame in `segment` before `offset`. */
  readonly frameNumber: number
  /** CRC that the next frame links to. */
  readonly frameCrc: number
  /** Leaf hash of the record before `nextSequence`; absent at sequence 1. */
  readonly hash?: string | undefined
  /** `recorded` of that record. */
  readonly recorded?: string | undefined
}

/** Where a stream that ended goes on: the last record of the stream before. */
export interface Predecessor {
  readonly stream: string
  readonly sequence: number
  readonly hash: string | undefined
  readonly reason: StreamReason
}

/**
 * Why a new stream begins: another boot after an unclean end, torn bytes, a recovery that was itself killed, a clock
 * far back, a renamed deployment, a copied or restored directory, an accepted loss, a destination whose head is ahead.
 */
export type StreamReason = 'boot' | 'torn' | 'recovery' | 'clock' | 'deployment' | 'copied' | 'loss' | 'ahead'

export interface ControlState {
  readonly spoolId: string
  readonly deployment: string
  readonly stream: string
  readonly epoch: number
  readonly bootId: string
  readonly firstSegment: number
  readonly watermark: Watermark
  /** True only when emits had stopped, everything was synced and the stream was closed. */
  readonly clean: boolean
  /** What the stream follows, kept at least until its first record says so. */
  readonly predecessor?: Predecessor | undefined
  /** Where the spool lay when this was written; a copy lies elsewhere. */
  readonly place?: SpoolPlace | undefined
  /** Names of the destinations that must confirm a segment before it goes. Absent names stay until they are dropped. */
  readonly destinations?: readonly string[] | undefined
  /** What happened while no writer lived; the next opening seals these behind its `opened`. */
  readonly facts?: readonly ControlFact[] | undefined
}

/** What a copied or restored spool cannot have in common with the original. */
export interface SpoolPlace {
  /** Device and inode of the directory. */
  readonly directory: string
  /** Device and inode of the control file. */
  readonly control: string
  /** `/etc/machine-id`; empty where there is none. */
  readonly machine: string
}

/** The durable position as it was last told to other processes. */
export interface Published extends SpoolPosition {
  readonly epoch: number
  readonly nextSequence: number
}

export type ControlReading =
  | { readonly kind: 'absent' }
  | { readonly kind: 'damaged' }
  | {
      readonly kind: 'state'
      readonly state: ControlState
      readonly generation: number
      readonly published: Published | undefined
    }

/** Reads the newest state. Throws `SPOOL_VERSION` for a later format, and what the file system throws. */
export function readControl(files: Files, directory: string): ControlReading {
  if (!files.list(directory).includes('control')) return { kind: 'absent' }
  const path = controlPath(directory)
  const file = files.open(path, 'read')
  try {
    const slots = [0, 1, 2].map((index) => readSlot(files, { file, path }, index))
    const state = newest(slots[0], slots[1])
    if (state === undefined) return { kind: 'damaged' }
    return {
      kind: 'state',
      state: state.members as unknown as ControlState,
      generation: state.generation,
      published: slots[2]?.members as unknown as Published | undefined,
    }
  } finally {
    files.close(file)
  }
}

/** Reads control where a spool must be. Throws `SOURCE_UNREADABLE`, `SPOOL_CORRUPT` or `SPOOL_VERSION`. */
export function readPresentControl(files: Files, directory: string): Extract<ControlReading, { kind: 'state' }> {
  const control = readControl(files, directory)
  if (control.kind === 'absent') throw noSpool(directory)
  if (control.kind === 'damaged') throw controlDamaged(directory, 'both slots are damaged')
  return control
}

/** The durable end that control tells of: the published position, where that is further than the watermark. */
export function durableEnd({ state, published }: { state: ControlState; published: Published | undefined }): Published {
  const { segment, offset, nextSequence } = state.watermark
  const watermark = { segment, offset, nextSequence, epoch: state.epoch }
  return published !== undefined && isBefore(watermark, published) ? published : watermark
}

/** Replaces the control file by one that holds `state` alone; durable on return. */
export function replaceControl(files: Files, directory: OpenDirectory, state: ControlState): void {
  const temporary = `${controlPath(directory.path)}.tmp`
  const file = files.open(temporary, 'create')
  try {
    const published: Published = {
      ...place(state.watermark),
      epoch: state.epoch,
      nextSequence: state.watermark.nextSequence,
    }
    files.write(file, encodeSlot({ generation: 1, members: { ...state } }), 0)
    files.write(file, encodeSlot({ generation: 1, members: { ...published } }), 2 * slotBytes)
    files.sync(file)
  } finally {
    files.close(file)
  }
  files.rename(temporary, controlPath(directory.path))
  files.syncDirectory(directory.file)
}

function place(position: SpoolPosition): SpoolPosition {
  return { segment: position.segment, offset: position.offset }
}

/** The open control file of the sync thread. */
export class ControlFile {
  readonly #files: Files
  readonly #file: number
  #generation = 1

  constructor(files: Files, directory: string) {
    this.#files = files
    this.#file = files.open(controlPath(directory), 'write')
  }

  /** Rewrites the older slot and syncs. After a failed write the same slot is written again, never the other. */
  save(state: ControlState): void {
    const slot = encodeSlot({ generation: this.#generation + 1, members: { ...state } })
    this.#files.write(this.#file, slot, (this.#generation % 2) * slotBytes)
    this.#files.sync(this.#file)
    this.#generation += 1
  }

  /** Tells other processes the durable position; survives the process, not a power cut. */
  publish(published: Published): void {
    this.#files.write(
      this.#file,
      encodeSlot({ generation: this.#generation, members: { ...published } }),
      2 * slotBytes,
    )
  }

  close(): void {
    this.#files.close(this.#file)
  }
}
