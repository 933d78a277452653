/** What openings leave that did not come to their end: nothing of it holds a record, or what it holds stands elsewhere too. */

import { releaseBallast } from './ballast.ts'
import { type ControlState, readControl } from './control.ts'
import type { Files } from './files.ts'
import { segmentHeaderBytes } from './format.ts'
import {
  fileBytes,
  listSegments,
  type OpenDirectory,
  type PathSegment,
  readSegmentHeader,
  unlinkSegments,
} from './segment.ts'

/** A spool as it was found. */
interface Found {
  readonly state: ControlState
  readonly path: readonly PathSegment[]
}

/** Files that never got a name that counts. */
export function removeTemporaries(files: Files, directory: string): void {
  for (const name of files.list(directory)) if (name.endsWith('.tmp')) files.unlink(`${directory}/${name}`)
}

/** First openings that ended before control's name was durable leave explicit segments without a frame, and no record. */
export function isFirstOpening(files: Files, directory: string, segments: readonly number[]): boolean {
  return segments.every((segment) => ofFirstOpening(files, directory, segment) !== undefined)
}

/**
 * Without what is left of such openings beside the spool that came after them: their segments were removed, and a power
 * cut may undo that when the sync of the directory had failed.
 */
export function withoutFirstOpenings(
  files: Files,
  directory: string,
  { segments, spoolId }: { readonly segments: readonly number[]; readonly spoolId: string },
): number[] {
  return segments.filter((segment) => (ofFirstOpening(files, directory, segment) ?? spoolId) === spoolId)
}

/** The id of the spool that an explicit first segment without a frame was made for; `undefined` for any other. */
function ofFirstOpening(files: Files, directory: string, segment: number): string | undefined {
  const decoded = readSegmentHeader(files, directory, segment)
  if (!decoded.ok || decoded.header.base !== 1 || decoded.header.kind !== 'explicit') return undefined
  return fileBytes(files, directory, segment) <= segmentHeaderBytes ? decoded.header.spoolId : undefined
}

/**
 * Takes back what an attempt has made on a full disk, so that the next has no less room; whether it has more. Names go
 * from the highest on, each durably: a power cut that undid one of several would leave a path with a hole.
 */
export function takeBack(files: Files, own: OpenDirectory, found: Found | undefined): boolean {
  const control = readControl(files, own.path)
  if (control.kind === 'state' && control.state.epoch !== found?.state.epoch) return false // it had come to its end
  const newest = found?.path.at(-1)?.header.segment ?? 0
  const made = listSegments(files, own.path).filter((segment) => segment > newest)
  for (const segment of made.reverse()) unlinkSegments(files, own, [segment])
  removeTemporaries(files, own.path)
  return releaseBallast(files, own.path)
}
