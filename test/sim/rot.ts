/**
 * Damage to bytes that were durable: it must be refused or found by reading to the end, never be lost in silence or
 * read as something else. The one limit, which the documentation states: bytes behind the last surviving proof (the
 * watermark, the published position, explicit lengths, and what later frames know) look torn when they rot.
 */

import assert from 'node:assert/strict'
import { AuditError } from '../../src/errors.ts'
import type { ControlState, Published } from '../../src/spool/control.ts'
import {
  decodeFrame,
  isBefore,
  type SpoolPosition,
  segmentHeaderBytes,
  segmentName,
  segmentNumber,
} from '../../src/spool/format.ts'
import { rebuildFrontier } from '../../src/spool/frontier.ts'
import { recoverSpool } from '../../src/spool/recover.ts'
import { decodeSegmentHeader } from '../../src/spool/segment-header.ts'
import { decodeSlot, newest, type Slot, slotBytes } from '../../src/spool/slots.ts'
import type { SimDisk } from './disk.ts'
import { simDirectory } from './process.ts'
import type { Random } from './random.ts'
import { keyOf, type SimRecord } from './trail.ts'
import { observe, readTrail } from './walk.ts'

/** What came of a damage. */
export type RotOutcome = 'refused' | 'harmless' | 'beyondProof'

export interface RotCase {
  readonly disk: SimDisk
  readonly bootId: string
  readonly machineId: string
  /** Everything that may be there, and how much of it was called durable. */
  readonly possible: readonly SimRecord[]
  readonly durable: number
}

/**
 * Damages copies of the disk, each in one place, and opens them. Throws when damage was lost in silence, or read as
 * something else.
 */
export function checkRot(random: Random, rot: RotCase, times: number): RotOutcome[] {
  const whole = open(rot.disk.copy({ keepsIdentities: true }), rot)
  if (!Array.isArray(whole)) return [] // not here: the next opening reports it
  return Array.from({ length: times }, () => checkOne(random, rot, whole))
}

function checkOne(random: Random, rot: RotCase, whole: readonly SimRecord[]): RotOutcome {
  const disk = rot.disk.copy({ keepsIdentities: true })
  const damage = damageOne(random, disk)
  const proof = furthestProof(disk)
  const found = open(disk, rot)
  if (!Array.isArray(found)) return 'refused'
  const said = `after ${damage.what}`
  const start = startOf(found.length > 0 ? found : whole, rot)
  // An older control may name segments that were about to be given back; never fewer than are retained.
  assert.ok(start <= startOf(whole, rot), `the oldest records are lost in silence ${said}`)
  found.forEach((record, index) => {
    const expected = rot.possible[start + index]
    assert.deepEqual([record.text, record.attachment], [expected?.text, expected?.attachment], `read otherwise ${said}`)
  })
  const durable = rot.durable - start
  if (found.length >= durable) return 'harmless'
  const isProven = damage.at !== undefined && isBefore(damage.at, proof)
  assert.ok(!isProven, `${durable - found.length} durable records are lost in silence ${said}, below ${textOf(proof)}`)
  assert.ok(damage.at !== undefined, `durable records are lost in silence ${said}`)
  return 'beyondProof'
}

/** Where these records begin among all that may be there. */
function startOf([first]: readonly SimRecord[], { possible, durable }: RotCase): number {
  return first === undefined ? durable : possible.findIndex((one) => keyOf(one) === keyOf(first))
}

/** Every record that an opening finds; or the error by which it says that something is wrong. */
function open(disk: SimDisk, { bootId, machineId }: RotCase): SimRecord[] | AuditError {
  return observe(disk, (files) => {
    try {
      const { state } = recoverSpool(files, { directory: simDirectory, deployment: 'sim', bootId, machineId })
      const records = readTrail(files, state.watermark)
      rebuildFrontier(files, simDirectory, state)
      return records
    } catch (error) {
      if (error instanceof AuditError) return error
      throw error
    }
  })
}

interface Damage {
  readonly what: string
  /** Absent when it lies in control. */
  readonly at: SpoolPosition | undefined
}

function damageOne(random: Random, disk: SimDisk): Damage {
  const candidates = disk.list().filter((name) => name === 'control' || segmentNumber(name) !== undefined)
  const name = candidates[random.below(candidates.length)] ?? 'control'
  const inode = disk.find(name)
  assert.ok(inode !== undefined)
  const at = random.below(Math.max(1, inode.size))
  const segment = segmentNumber(name)
  const kind = random.below(10)
  if (kind === 0) {
    disk.unlink(name)
    return { what: `removing ${name}`, at: placeIn(segment, 0) }
  }
  if (kind === 1) {
    inode.truncate(at)
    // The header's zeros are read as such where they are cut off: what is lost begins with the first frame.
    return { what: `cutting ${name} to ${at} bytes`, at: placeIn(segment, Math.max(at, segmentHeaderBytes)) }
  }
  if (kind === 2) {
    const start = at - (at % 512)
    inode.rot((bytes) => void bytes.fill(0, start, Math.min(start + 512, bytes.length)))
    return { what: `zeros at ${start} in ${name}`, at: placeIn(segment, start) }
  }
  inode.rot((bytes) => {
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
  })
  return { what: `a flipped bit at ${at} in ${name}`, at: placeIn(segment, at) }
}

function placeIn(segment: number | undefined, offset: number): SpoolPosition | undefined {
  return segment === undefined ? undefined : { segment, offset }
}

/** The furthest position of which anything that still can be read says that it was durable. */
export function furthestProof(disk: SimDisk): SpoolPosition {
  let furthest: SpoolPosition = { segment: 0, offset: 0 }
  const prove = (position: SpoolPosition | undefined) => {
    if (position !== undefined && isBefore(furthest, position)) furthest = position
  }
  const control = disk.find('control')?.cache ?? Buffer.alloc(0)
  const [one, other, third] = [0, 1, 2].map((index) => slotAt(control, index))
  const state = newest(one, other)?.members as ControlState | undefined
  prove(state?.watermark)
  prove(third?.members as Published | undefined)
  const segments = disk.list().map(segmentNumber)
  const last = Math.max(0, ...segments.filter((segment) => segment !== undefined))
  for (let segment = last; segment > 0 && segment >= (state?.firstSegment ?? 1); ) {
    const bytes = disk.find(segmentName(segment))?.cache ?? Buffer.alloc(0)
    const decoded = decodeSegmentHeader(bytes)
    if (!decoded.ok) break
    const { header } = decoded
    if (header.kind === 'explicit') {
      prove({ segment: header.previous, offset: header.previousLength })
      prove({ segment, offset: header.publishedLength })
    }
    for (const known of knownBy(bytes, header.salt)) prove(known)
    segment = header.previous
  }
  return furthest
}

function slotAt(control: Buffer, index: number): Slot | undefined {
  const slot = decodeSlot(control.subarray(index * slotBytes, (index + 1) * slotBytes))
  return slot === undefined || 'newer' in slot ? undefined : slot
}

function* knownBy(bytes: Buffer, salt: number): Generator<SpoolPosition> {
  for (let at = segmentHeaderBytes; at < bytes.length; at += 8) {
    const reading = bytes[at] === 0xff ? decodeFrame(bytes, at, salt) : undefined
    if (reading?.kind === 'frame') yield reading.frame.known
    else if (reading !== undefined && reading.kind !== 'none') yield reading.header.known
  }
}

function textOf({ segment, offset }: SpoolPosition): string {
  return `${segmentName(segment)} at ${offset}`
}
