/**
 * States in which a spool may be left behind, each with what the next opening makes of it: the rows of the table test of
 * recovery, in the order of its steps. `check` and `repair` are held against the same rows.
 */

import {
  cpSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { amendControl, type ControlState, type StreamReason } from '../../src/spool/control.ts'
import { CursorFile } from '../../src/spool/cursor.ts'
import { diskFiles, machineId } from '../../src/spool/files.ts'
import { segmentHeaderBytes } from '../../src/spool/format.ts'
import type { Recovered } from '../../src/spool/recover.ts'
import type { Damage } from '../../src/spool/refusals.ts'
import { openDirectory, unlinkSegments } from '../../src/spool/segment.ts'
import { slotBytes } from '../../src/spool/slots.ts'
import { cutOff, flip, lastFrameCrc, makeSegment, overwrite, rescueHeader, segmentFile } from './damage.ts'
import { closeDriven, type Driven, names, openDriven } from './harness.ts'

export interface Opens {
  /** Names of all records that can be read then. */
  readonly names: readonly string[]
  /** Why a new stream began, and with which sequence the one before it ended. */
  readonly reason?: StreamReason
  readonly after?: number
  readonly end?: Recovered['previousEnd']
  /** Bytes of an append that was cut off. */
  readonly torn?: boolean
  /** Segments that must be gone in the end. */
  readonly gone?: readonly number[]
}

export interface Refuses {
  readonly damage: Damage['kind']
  readonly segment?: number
  readonly says: RegExp
}

export interface Row {
  readonly step: number
  readonly name: string
  leave(directory: string): void
  /** The boot and the deployment of the next opening, when they are not those of the last. */
  readonly next?: { readonly boot?: string; readonly deployment?: string }
  readonly outcome: Opens | Refuses
}

/** A process that was killed: some records were durable, some only written. */
export function killed(directory: string, durable: readonly string[], written: readonly string[] = []): Driven {
  const driven = openDriven(directory)
  driven.append(...durable)
  driven.syncer.cycle()
  driven.append(...written)
  return driven
}

export function closed(directory: string, durable: readonly string[]): Driven {
  const driven = openDriven(directory)
  driven.append(...durable)
  closeDriven(driven)
  return driven
}

/** Three processes after each other: segments 1, 2 and 3, each explicit. */
export function threeSegments(directory: string): void {
  killed(directory, ['a'])
  killed(directory, ['b'])
  killed(directory, ['c'])
}

/** Three processes, each of which rolled; all but the end of it lies far below the watermark. */
export function longSpool(directory: string): void {
  for (const round of [0, 1, 2]) {
    const driven = openDriven(directory, { segmentBytesMax: 16_384 })
    for (const name of names(0, 90, `round${round}-`)) {
      driven.append(name)
      if (name.endsWith('7')) driven.syncer.cycle()
    }
    driven.syncer.cycle()
  }
}

export const control = (directory: string) => join(directory, 'control')

/** Undoes the renaming by which the next recovery replaces control. */
function keepingControl(directory: string, act: () => void): void {
  linkSync(control(directory), join(directory, 'old-control'))
  act()
  renameSync(join(directory, 'old-control'), control(directory))
}

/** A sync failed: what was not durable stands again in a segment that says where the old one durably ends. */
function failedOver(directory: string, rescued: readonly string[]): Driven {
  const driven = killed(directory, ['a'], ['b', 'c'])
  makeSegment(directory, { header: { segment: 2, previous: 1 } }) // the spare of before
  const { segment, offset, nextSequence } = driven.positions.durable()
  const header = rescueHeader(3, { segment, offset, nextSequence })
  makeSegment(directory, { header, names: rescued, firstSequence: nextSequence, known: { segment, offset } })
  return driven
}

const otherStream = '5bf1c4a6-7d01-4a3e-8d51-0f7f5d0f2f11'

/** The writer went over to another stream while running. */
function twoStreams(directory: string, second: readonly string[]): void {
  killed(directory, ['a', 'b'])
  const frameCrc = lastFrameCrc(directory, 1)
  makeSegment(directory, { header: { segment: 2, previous: 1, stream: otherStream }, names: second, frameCrc })
}

export const rows: readonly Row[] = [
  {
    step: 1,
    name: 'temporary files, which never got a name that counts, are removed',
    leave(directory) {
      killed(directory, ['a'])
      writeFileSync(join(directory, 'seg-00000007.wal.tmp'), 'half a segment')
    },
    outcome: { names: ['a'] },
  },
  {
    step: 1,
    name: 'a repair that was interrupted must be finished first',
    leave(directory) {
      killed(directory, ['a'])
      writeFileSync(join(directory, 'repair'), '{}')
    },
    outcome: { damage: 'repair', says: /has not finished/ },
  },
  {
    step: 2,
    name: 'an empty directory becomes a new spool',
    leave() {},
    outcome: { names: [], end: 'none' },
  },
  {
    step: 2,
    name: 'a first opening that was killed before control got its name starts over',
    leave(directory) {
      openDriven(directory)
      unlinkSync(control(directory))
    },
    outcome: { names: [], end: 'none' },
  },
  {
    step: 2,
    name: 'a first segment with records whose control is missing fails closed',
    leave(directory) {
      killed(directory, ['a'])
      unlinkSync(control(directory))
    },
    outcome: { damage: 'control', says: /missing although there are 1 segments/ },
  },
  {
    step: 2,
    name: 'segments without control fail closed',
    leave(directory) {
      threeSegments(directory)
      unlinkSync(control(directory))
    },
    outcome: { damage: 'control', says: /missing although there are 3 segments/ },
  },
  {
    step: 2,
    name: 'the newer control slot damaged leaves the older, and frames say the rest',
    leave(directory) {
      closed(directory, ['a', 'b'])
      flip(control(directory), slotBytes + 30)
    },
    outcome: { names: ['a', 'b', 'checkpoint'], end: 'crash' },
  },
  {
    step: 2,
    name: 'the older control slot damaged leaves the newer',
    leave(directory) {
      closed(directory, ['a', 'b'])
      flip(control(directory), 30)
    },
    outcome: { names: ['a', 'b', 'checkpoint'], end: 'clean' },
  },
  {
    step: 2,
    name: 'the published slot damaged leaves the watermark, and frames say the rest',
    leave(directory) {
      killed(directory, ['a', 'b'])
      flip(control(directory), 2 * slotBytes + 30)
    },
    outcome: { names: ['a', 'b'] },
  },
  {
    step: 2,
    name: 'both control slots damaged fail closed',
    leave(directory) {
      closed(directory, ['a', 'b'])
      flip(control(directory), 30)
      flip(control(directory), slotBytes + 30)
    },
    outcome: { damage: 'control', says: /both slots are damaged/ },
  },
  {
    step: 3,
    name: 'a missing segment fails closed: in the middle',
    leave(directory) {
      threeSegments(directory)
      unlinkSync(segmentFile(directory, 2))
    },
    outcome: { damage: 'missing', segment: 2, says: /the file is missing/ },
  },
  {
    step: 3,
    name: 'a missing segment fails closed: the first',
    leave(directory) {
      threeSegments(directory)
      unlinkSync(segmentFile(directory, 1))
    },
    outcome: { damage: 'missing', segment: 1, says: /the file is missing/ },
  },
  {
    step: 3,
    name: 'a missing segment fails closed: the last, to which the watermark belongs',
    leave(directory) {
      threeSegments(directory)
      unlinkSync(segmentFile(directory, 3))
    },
    outcome: { damage: 'missing', segment: 3, says: /control has its watermark there/ },
  },
  {
    step: 3,
    name: 'a missing segment fails closed: all',
    leave(directory) {
      threeSegments(directory)
      for (const segment of [1, 2, 3]) unlinkSync(segmentFile(directory, segment))
    },
    outcome: { damage: 'missing', segment: 3, says: /all segments are missing/ },
  },
  {
    step: 3,
    name: 'a damaged segment header fails closed',
    leave(directory) {
      threeSegments(directory)
      flip(segmentFile(directory, 2), 40)
    },
    outcome: { damage: 'corrupt', segment: 2, says: /header checksum/ },
  },
  {
    step: 3,
    name: 'a damaged version number is damage, no later version',
    leave(directory) {
      threeSegments(directory)
      flip(segmentFile(directory, 2), 9)
    },
    outcome: { damage: 'corrupt', segment: 2, says: /format version 257/ },
  },
  {
    step: 3,
    name: 'a segment that leads to itself fails closed',
    leave(directory) {
      killed(directory, ['a'])
      makeSegment(directory, { header: { segment: 2, previous: 2 } })
    },
    outcome: { damage: 'corrupt', segment: 2, says: /leads to a later segment/ },
  },
  {
    step: 3,
    name: 'a segment of another spool fails closed',
    leave(directory) {
      killed(directory, ['a'])
      makeSegment(directory, { header: { segment: 2, previous: 1, spoolId: otherStream } })
    },
    outcome: { damage: 'corrupt', segment: 2, says: /another spool/ },
  },
  {
    step: 3,
    name: 'a first segment of another spool, without a frame, is void: an opening that never came to its end made it',
    leave(directory) {
      killed(directory, ['a'])
      const stated = { base: 1, previousLength: segmentHeaderBytes, publishedLength: segmentHeaderBytes }
      makeSegment(directory, { header: { kind: 'explicit', segment: 2, previous: 1, spoolId: otherStream, ...stated } })
    },
    outcome: { names: ['a'], gone: [2] },
  },
  {
    step: 3,
    name: 'and fails closed as soon as it holds a frame',
    leave(directory) {
      killed(directory, ['a'])
      const stated = { base: 1, previousLength: segmentHeaderBytes, publishedLength: segmentHeaderBytes }
      const header = { kind: 'explicit', segment: 2, previous: 1, spoolId: otherStream, ...stated } as const
      makeSegment(directory, { header, names: ['b'] })
    },
    outcome: { damage: 'corrupt', segment: 2, says: /another spool/ },
  },
  {
    step: 3,
    name: 'a segment of an older owner fails closed: one that leads around the watermark',
    leave(directory) {
      threeSegments(directory)
      makeSegment(directory, { header: { segment: 4, previous: 1, epoch: 1 }, names: ['late'], firstSequence: 2 })
    },
    outcome: { damage: 'owner', segment: 4, says: /after epoch 3 had begun/ },
  },
  {
    step: 3,
    name: 'a segment of an older owner fails closed: one that nothing leads to',
    leave(directory) {
      threeSegments(directory)
      makeSegment(directory, { header: { segment: 4, previous: 1, epoch: 2 }, names: ['late'] })
      makeSegment(directory, { header: { segment: 5, previous: 3 } })
    },
    outcome: { damage: 'owner', segment: 4, says: /after epoch 3 had begun/ },
  },
  {
    step: 3,
    name: 'a segment of an older owner fails closed: one behind a newer one on the path',
    leave(directory) {
      killed(directory, ['a'])
      makeSegment(directory, { header: { segment: 2, previous: 1, epoch: 5 } })
      makeSegment(directory, { header: { segment: 3, previous: 2, epoch: 4 } })
    },
    outcome: { damage: 'owner', segment: 3, says: /after epoch 5 had begun/ },
  },
  {
    step: 3,
    name: 'a reclaimed segment whose removal a power cut undid is removed again',
    leave(directory) {
      closed(directory, ['a'])
      killed(directory, ['b'])
      killed(directory, ['c'])
      cpSync(segmentFile(directory, 1), join(directory, 'kept'))
      reclaim(directory, 2)
      renameSync(join(directory, 'kept'), segmentFile(directory, 1))
    },
    outcome: { names: ['b', 'c'], gone: [1] },
  },
  {
    step: 3,
    name: 'a void segment whose removal a power cut undid is removed again',
    leave(directory) {
      killed(directory, ['a'])
      makeSegment(directory, { header: { segment: 2, previous: 1 } })
      killed(directory, ['b']) // supersedes 2, and does not come to removing it
    },
    outcome: { names: ['a', 'b'], gone: [2] },
  },
  {
    step: 3,
    name: 'a spare that nobody has used is superseded',
    leave(directory) {
      killed(directory, ['a'])
      makeSegment(directory, { header: { segment: 2, previous: 1 } })
    },
    outcome: { names: ['a'], gone: [2] },
  },
  {
    step: 3,
    name: 'a rescue that failed and the spare before it are superseded with what was condemned',
    leave(directory) {
      const driven = failedOver(directory, ['b', 'c'])
      const { segment, offset, nextSequence } = driven.positions.durable()
      const header = rescueHeader(4, { segment, offset, nextSequence })
      makeSegment(directory, { header, names: ['b', 'c', 'd'], firstSequence: nextSequence })
    },
    outcome: { names: ['a', 'b', 'c', 'd'], gone: [2, 3, 4] },
  },
  {
    step: 4,
    name: 'records written but never synced are carried over after a kill, in the same stream',
    leave(directory) {
      killed(directory, names(0, 5), names(5, 9))
    },
    outcome: { names: names(0, 9), end: 'crash' },
  },
  {
    step: 4,
    name: 'a planned segment goes on when its first frame links',
    leave(directory) {
      killed(directory, ['a', 'b'])
      const frameCrc = lastFrameCrc(directory, 1)
      makeSegment(directory, { header: { segment: 2, previous: 1 }, names: ['c'], firstSequence: 3, frameCrc })
    },
    outcome: { names: ['a', 'b', 'c'] },
  },
  {
    step: 4,
    name: 'a planned segment whose first frame does not link is torn',
    leave(directory) {
      killed(directory, ['a', 'b'])
      makeSegment(directory, { header: { segment: 2, previous: 1 }, names: ['c'], firstSequence: 3, frameCrc: 7 })
    },
    outcome: { names: ['a', 'b'], reason: 'torn', after: 2, torn: true },
  },
  {
    step: 4,
    name: 'a whole frame with a sequence that does not follow is corruption',
    leave(directory) {
      killed(directory, ['a', 'b'])
      const frameCrc = lastFrameCrc(directory, 1)
      makeSegment(directory, { header: { segment: 2, previous: 1 }, names: ['c'], firstSequence: 9, frameCrc })
    },
    outcome: { damage: 'corrupt', segment: 2, says: /holds sequence 9 where 3 must follow/ },
  },
  {
    step: 4,
    name: 'a condemned segment lives up to the length that its rescue states; what follows there does not count',
    leave(directory) {
      failedOver(directory, ['b', 'c', 'd'])
    },
    outcome: { names: ['a', 'b', 'c', 'd'], gone: [2, 3] },
  },
  {
    step: 4,
    name: 'frames that do not reach the length their successor states are corruption',
    leave(directory) {
      const driven = killed(directory, ['a', 'b'])
      failedOverAt(directory, driven)
      flip(segmentFile(directory, 1), driven.writer.end.offset - 40)
    },
    outcome: { damage: 'corrupt', segment: 1, says: /with sequence 1 of stream .* were durable/ },
  },
  {
    step: 4,
    name: 'an explicit segment that does not begin where the one before ends is corruption',
    leave(directory) {
      const driven = killed(directory, ['a', 'b'])
      const { segment, offset } = driven.positions.durable()
      makeSegment(directory, { header: rescueHeader(2, { segment, offset, nextSequence: 4 }) })
    },
    outcome: { damage: 'corrupt', segment: 2, says: /begins at sequence 4, but the segment before it ends at 2/ },
  },
  {
    step: 4,
    name: 'a stream that began while running is carried over as a stream of its own, which goes on',
    leave(directory) {
      twoStreams(directory, ['x', 'y'])
    },
    outcome: { names: ['a', 'b', 'x', 'y'] },
  },
  {
    step: 4,
    name: 'a stream that was prepared and never written to does not begin',
    leave(directory) {
      twoStreams(directory, [])
    },
    outcome: { names: ['a', 'b'], gone: [2] },
  },
  {
    step: 4,
    name: 'a stream whose only record is torn does not begin; a fresh one follows the stream before',
    leave(directory) {
      twoStreams(directory, ['x'])
      cutOff(segmentFile(directory, 2), 20)
    },
    outcome: { names: ['a', 'b'], reason: 'torn', after: 2, torn: true },
  },
  {
    step: 4,
    name: 'another boot ends the last of several streams',
    leave(directory) {
      twoStreams(directory, ['x', 'y', 'z'])
    },
    next: { boot: 'boot-2' },
    outcome: { names: ['a', 'b', 'x', 'y', 'z'], reason: 'boot', after: 3 },
  },
  {
    step: 5,
    name: 'a frame cut off above everything proven is torn',
    leave(directory) {
      const { offset } = killed(directory, ['a', 'b'], ['c']).writer.end
      truncateSync(segmentFile(directory, 1), offset - 30)
    },
    outcome: { names: ['a', 'b'], reason: 'torn', after: 2, torn: true },
  },
  {
    step: 5,
    name: 'garbage above everything proven is torn',
    leave(directory) {
      const { offset } = killed(directory, ['a', 'b']).writer.end
      overwrite(segmentFile(directory, 1), offset, Buffer.alloc(700, 0xff))
    },
    outcome: { names: ['a', 'b'], reason: 'torn', after: 2, torn: true },
  },
  {
    step: 5,
    name: 'a damaged frame in a rescue above the length it was published with is torn',
    leave(directory) {
      failedOver(directory, ['b', 'c'])
      flip(segmentFile(directory, 3), -10)
    },
    outcome: { names: ['a', 'b'], reason: 'torn', after: 2, torn: true },
  },
  {
    step: 5,
    name: 'damage above the watermark and below the published position is corruption',
    leave(directory) {
      const driven = killed(directory, ['a', 'b'])
      flip(segmentFile(directory, 1), driven.writer.end.offset - 20)
    },
    outcome: { damage: 'corrupt', segment: 1, says: /end with sequence 1 of stream .* but the position published/ },
  },
  {
    step: 5,
    name: 'damage in a frame that a later frame knows to be durable is corruption',
    leave(directory) {
      const driven = openDriven(directory)
      const unpublished = readFileSync(control(directory))
      driven.append('a', 'b')
      const middle = driven.writer.end.offset - 40
      driven.syncer.cycle()
      driven.append('c')
      writeFileSync(control(directory), unpublished)
      flip(segmentFile(directory, 1), middle)
    },
    outcome: { damage: 'corrupt', segment: 1, says: /but the frame of sequence 3 at offset \d+ of 1 says/ },
  },
  {
    step: 5,
    name: 'damage below the length with which a segment was published is corruption',
    leave(directory) {
      killed(directory, ['a', 'b'])
      keepingControl(directory, () => openDriven(directory))
      flip(segmentFile(directory, 2), -10)
    },
    outcome: { damage: 'corrupt', segment: 2, says: /but the header of segment 2 says/ },
  },
  {
    step: 5,
    name: 'a segment cut short below the watermark is corruption',
    leave(directory) {
      closed(directory, ['a', 'b'])
      truncateSync(segmentFile(directory, 1), segmentHeaderBytes + 100)
    },
    outcome: { damage: 'corrupt', segment: 1, says: /but the file has only 4196 bytes/ },
  },
  {
    step: 6,
    name: 'a spool that was copied goes on in a new stream, although it was closed',
    leave(directory) {
      closed(directory, ['a', 'b'])
      const copy = `${directory}-copy`
      cpSync(directory, copy, { recursive: true })
      rmSync(directory, { recursive: true })
      renameSync(copy, directory)
    },
    outcome: { names: ['a', 'b', 'checkpoint'], reason: 'copied', after: 3, end: 'clean' },
  },
  {
    step: 6,
    name: 'a spool that was restored in its own place goes on in a new stream, also where inodes are given out again',
    leave(directory) {
      killed(directory, ['a'], ['b'])
      cpSync(directory, `${directory}-copy`, { recursive: true })
      for (const name of readdirSync(directory)) unlinkSync(join(directory, name))
      for (const name of ['control', 'seg-00000001.wal']) cpSync(join(`${directory}-copy`, name), join(directory, name))
      rmSync(`${directory}-copy`, { recursive: true })
    },
    outcome: { names: ['a', 'b'], reason: 'copied', after: 2 },
  },
  {
    step: 6,
    name: 'a recovery that was itself killed before control starts a new stream and loses nothing',
    leave(directory) {
      killed(directory, ['a', 'b'])
      keepingControl(directory, () => openDriven(directory, { boot: 'boot-2' }))
    },
    outcome: { names: ['a', 'b'], reason: 'recovery', after: 2 },
  },
  {
    step: 6,
    name: "control's renaming undone: the segments of the newer epoch count, and a new stream begins",
    leave(directory) {
      closed(directory, ['a'])
      keepingControl(directory, () => killed(directory, ['b'], ['c']))
    },
    outcome: { names: ['a', 'checkpoint', 'b', 'c'], reason: 'recovery', after: 4, end: 'clean' },
  },
  {
    step: 6,
    name: 'an unclean end under another boot starts a new stream',
    leave(directory) {
      killed(directory, ['a'])
    },
    next: { boot: 'boot-2' },
    outcome: { names: ['a'], reason: 'boot', after: 1 },
  },
  {
    step: 6,
    name: 'a clean end under another boot does not',
    leave(directory) {
      closed(directory, ['a'])
    },
    next: { boot: 'boot-2' },
    outcome: { names: ['a', 'checkpoint'], end: 'clean' },
  },
  {
    step: 6,
    name: 'a destination that has confirmed more than stands here starts a new stream',
    leave(directory) {
      const { stream } = killed(directory, ['a', 'b']).recovered.state
      confirm(directory, 'otlp', { stream, sequence: 7 })
      confirm(directory, 'postgres', { stream, sequence: 1 })
    },
    outcome: { names: ['a', 'b'], reason: 'ahead', after: 2 },
  },
  {
    step: 6,
    name: 'another deployment starts a new stream',
    leave(directory) {
      closed(directory, ['a'])
    },
    next: { deployment: 'other' },
    outcome: { names: ['a', 'checkpoint'], reason: 'deployment', after: 2, end: 'clean' },
  },
]

/** Everything before a segment was delivered: control begins later, and the files are removed. */
export function reclaim(directory: string, firstSegment: number): void {
  const own = openDirectory(diskFiles, directory)
  const change = (state: ControlState) => ({ ...state, firstSegment })
  amendControl(diskFiles, own, { machine: machineId(), change })
  const before = Array.from({ length: firstSegment - 1 }, (_, index) => index + 1)
  unlinkSegments(diskFiles, own, before)
  diskFiles.close(own.file)
}

function failedOverAt(directory: string, driven: Driven): void {
  makeSegment(directory, { header: rescueHeader(2, driven.positions.durable()) })
}

function confirm(directory: string, name: string, confirmed: { stream: string; sequence: number }): void {
  const cursor = new CursorFile(diskFiles, directory, name)
  cursor.save({ confirmed })
  cursor.close()
}
