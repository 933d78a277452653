/**
 * A link: what verification keeps of a record once its bytes are hashed. Only members at depth one are read, and
 * nothing is ever serialized again. Pure.
 */

import { leafHash } from '../chain/hash.ts'
import { parseRecord, type RecordMembers } from '../event/record.ts'
import { scanRecord } from '../event/record-scan.ts'
import type { FoundRecord, Place, ProjectionMismatch } from './source.ts'

export interface Link {
  readonly stream: string
  readonly sequence: number
  /** Leaf hash of the bytes as found, 64 hex digits. */
  readonly leaf: string
  /** The leaf hash that this record names as its predecessor's. */
  readonly prev: string | undefined
  readonly recorded: string | undefined
  /** Whether the writer noted that the clock was behind. */
  readonly clockBehind: boolean
  readonly position: number
  readonly place: Place | undefined
  readonly mismatch: ProjectionMismatch | undefined
  /** Details of the control records that verification needs, undefined for all others. */
  readonly control:
    | {
        readonly type: 'checkpoint' | 'opened' | 'rotated' | 'deleted' | 'pruned' | 'erased' | 'anchored'
        readonly details: unknown
      }
    | undefined
  /** Last position at which the same bytes were found again. */
  again?: number
  /** Other records found with the same number. */
  rivals?: Link[]
}

const leafForm = /^[0-9a-f]{64}$/

/** Whether a text is a leaf hash: 64 hex digits. */
export function isLeaf(text: string): boolean {
  return leafForm.test(text)
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** The link of a record, or undefined when its bytes are no record (not JSON, no stream, no sequence). */
export function readLink(found: FoundRecord): Link | undefined {
  return scanLink(found) ?? parseLink(found)
}

/** The link of an ordinary record in its usual form, in half the time; undefined for all others. */
function scanLink({ bytes, position, place, checkProjection }: FoundRecord): Link | undefined {
  if (checkProjection !== undefined) return undefined // compares members that only a parser gives
  const scanned = scanRecord(asBuffer(bytes))
  if (scanned === undefined || scanned.stream === '' || scanned.seq === 0) return undefined
  const { stream, seq: sequence, prev, recorded, eventType, hasClock: clockBehind } = scanned
  if (eventType.startsWith('audit.')) return undefined
  return {
    stream,
    sequence,
    leaf: leafHash(bytes),
    prev: isLeaf(prev) ? prev : undefined,
    recorded: recorded === '' ? undefined : recorded,
    clockBehind,
    position,
    place,
    mismatch: undefined,
    control: undefined,
  }
}

/** As `readLink`, by the parser. */
export function parseLink(found: FoundRecord): Link | undefined {
  const members = parseRecord(found.bytes)
  const { stream, seq, prev } = members ?? {}
  if (members === undefined || stream === undefined || seq === undefined) return undefined
  if (!Number.isSafeInteger(seq) || seq < 1) return undefined
  const leaf = leafHash(found.bytes)
  return {
    stream,
    sequence: seq,
    leaf,
    prev: prev !== undefined && isLeaf(prev) ? prev : undefined,
    recorded: members.recorded,
    clockBehind: members.clock !== undefined,
    position: found.position,
    place: found.place,
    mismatch: found.checkProjection?.(members, leaf),
    control: controlOf(members),
  }
}

function controlOf(members: RecordMembers): Link['control'] {
  if (members.event_type === 'audit.checkpoint') return { type: 'checkpoint', details: members.details }
  if (members.event_type === 'audit.stream.opened') return { type: 'opened', details: members.details }
  if (members.event_type === 'audit.key.rotated') return { type: 'rotated', details: members.details }
  if (members.event_type === 'audit.anchored') return { type: 'anchored', details: members.details }
  if (members.event_type === 'audit.pruned') return { type: 'pruned', details: members.details }
  if (members.event_type === 'audit.erased') return { type: 'erased', details: members.details }
  if (members.event_type === 'audit.file.deleted') return { type: 'deleted', details: members.details }
  return undefined
}
