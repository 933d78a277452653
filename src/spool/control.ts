/**
 * The control file: what recovery starts from. Slots 0 and 1 alternate and are synced; slot 2 publishes the durable
 * position to other processes and is not; slot 3 holds the running counts of suppressed events (`running-counts.ts`).
 * While the spool is open the sync thread alone rewrites slots 0 to 2, and the application thread slot 3. Recovery replaces the whole file by rename, because its newest slot may exist only in
 * cache and overwriting the other one before a power cut would leave both bad.
 */

import { AuditError } from '../errors.ts'
import type { ControlFact } from '../event/record.ts'
import type { Files } from './files.ts'
import { isBefore, type SpoolPosition } from './format.ts'
import { hasMoved, placeOf, type SpoolPlace } from './guard.ts'
import { controlDamaged, controlPath, noSpool } from './refusals.ts'
import { countsSlot, encodeWindows, readWindows, type SavedWindow } from './running-counts.ts'
import type { OpenDirectory } from './segment.ts'
import { encodeSlot, newest, readSlot, slotBytes } from './slots.ts'
import type { SpoolState } from './state.ts'

const publishedSlot = 2
const slotCount = 4
/** Longest state, without its place, in bytes of JSON; a slot holds 4,068. */
const controlBytesMax = 3_600

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

/** The durable position as it was last told to other processes. */
export interface Published extends SpoolPosition {
  readonly epoch: number
  readonly nextSequence: number
  /** How the spool is doing; absent when it is only a position. */
  readonly state?: SpoolState | undefined
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
    const slots = [0, 1, publishedSlot].map((index) => readSlot(files, { file, path }, index))
    const state = newest(slots[0], slots[1])
    if (state === undefined) return { kind: 'damaged' }
    return {
      kind: 'state',
      state: state.members as unknown as ControlState,
      generation: state.generation,
      published: slots[publishedSlot]?.members as unknown as Published | undefined,
    }
  } finally {
    files.close(file)
  }
}

/** Which of the two slots of the state hold something that cannot be read: a crash leaves at most one. */
export function damagedSlots(files: Files, directory: string): number[] {
  const path = controlPath(directory)
  const file = files.open(path, 'read')
  try {
    return [0, 1].filter((index) => {
      const bytes = Buffer.alloc(slotBytes)
      files.read(file, bytes, index * slotBytes)
      return bytes.some((byte) => byte !== 0) && readSlot(files, { file, path }, index) === undefined
    })
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

/** What a control file holds, to be written as a whole. */
export interface ControlContents {
  /** Without a place: it is where it is written. */
  readonly state: ControlState
  /** The watermark, unless given. */
  readonly published?: Published | undefined
  /** The machine that writes it. */
  readonly machine: string
  /** The spool was found elsewhere than it was written, and nothing has come of it yet: leaves the old place. */
  readonly keepsPlace?: boolean | undefined
  /** Counts of suppressed events that are still to be sealed; those of the old file, unless given. */
  readonly windows?: readonly SavedWindow[] | undefined
}

/**
 * Replaces the control file by one that holds this alone; durable on return. The state as it was written: its place
 * names the new file. Throws `INVALID_OPTION` where it has no room.
 */
export function replaceControl(files: Files, directory: OpenDirectory, contents: ControlContents): ControlState {
  checkRoom(contents.state)
  const temporary = `${controlPath(directory.path)}.tmp`
  const windows = contents.windows ?? readWindows(files, directory.path)
  const file = files.open(temporary, 'create')
  let { state } = contents
  try {
    const place = placeOf(files, { directory: directory.path, control: temporary, machine: contents.machine })
    if (contents.keepsPlace !== true) state = { ...state, place }
    const { segment, offset, nextSequence } = state.watermark
    const published = contents.published ?? { segment, offset, nextSequence, epoch: state.epoch }
    files.write(file, Buffer.alloc(slotCount * slotBytes), 0) // every slot has its room: a save needs none on a full disk
    files.write(file, encodeSlot({ generation: 1, members: { ...state } }), 0)
    files.write(file, encodeSlot({ generation: 1, members: { ...published } }), publishedSlot * slotBytes)
    if (windows.length > 0) files.write(file, encodeWindows(windows).bytes, countsSlot * slotBytes)
    files.sync(file)
  } finally {
    files.close(file)
  }
  files.rename(temporary, controlPath(directory.path))
  files.syncDirectory(directory.file)
  return state
}

/**
 * Throws `INVALID_OPTION` for a state that control has no room for: facts to be sealed, and the names of destinations,
 * must leave some for positions to grow.
 */
export function checkRoom(state: Omit<ControlState, 'watermark'> & { watermark?: Watermark }): void {
  const bytes = Buffer.byteLength(JSON.stringify({ ...state, place: undefined }))
  if (bytes <= controlBytesMax) return
  const [names, facts] = [state.destinations?.length ?? 0, state.facts?.length ?? 0]
  throw new AuditError(
    'INVALID_OPTION',
    `the control file has no room for ${names} destination names and ${facts} facts: ${bytes} bytes, at most ${controlBytesMax}`,
    {
      setting: facts === 0 ? 'destinations' : 'spool.directory',
      hint: 'Give destinations shorter names, drop those that are gone, or start the program once, so that it seals the facts.',
    },
  )
}

/**
 * Changes what control says while no writer lives: for the holder of the lock. The durable position stays as told, and
 * a copy stays known as one. Throws as `readPresentControl` and `replaceControl` do.
 */
export function amendControl(
  files: Files,
  directory: OpenDirectory,
  { machine, change }: { machine: string; change: (state: ControlState) => ControlState },
): ControlState {
  const { state, published } = readPresentControl(files, directory.path)
  const found = placeOf(files, { directory: directory.path, control: controlPath(directory.path), machine })
  const keepsPlace = hasMoved(state.place, found)
  return replaceControl(files, directory, { state: change(state), published, machine, keepsPlace })
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
      publishedSlot * slotBytes,
    )
  }

  close(): void {
    this.#files.close(this.#file)
  }
}
