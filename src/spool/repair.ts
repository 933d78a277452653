/**
 * Going on with a damaged spool, for an operator who accepts what is lost: what is whole before the first damage stays
 * in its stream, what stands behind it goes to quarantine, and control begins a new stream that follows the last whole
 * record, with a gap to be sealed. Steps, each repeated after a kill: journal (from then on recovery refuses the spool)
 * · segments and control to quarantine · the new stream's first segment, which states where the whole part ends ·
 * control · the journal to quarantine.
 */

import { join } from 'node:path'
import { checkSpool } from './check.ts'
import { readControl, replaceControl, type Watermark } from './control.ts'
import { exists, type Files, machineId } from './files.ts'
import { segmentHeaderBytes, segmentName } from './format.ts'
import { lockSpool } from './lock.ts'
import { copyFile, ensureDurably, moveFile, quarantinePath } from './quarantine.ts'
import { controlPath, repairPath, segmentPath } from './refusals.ts'
import { planRepair, type RepairPlan, type RepairRequest } from './repair-plan.ts'
import { type OpenDirectory, openDirectory, publishSegment, readSegmentHeader, temporaryPath } from './segment.ts'
import { readWhole, removeIfPresent, writeWhole } from './whole-file.ts'

export type RepairOutcome =
  | { readonly kind: 'whole' }
  | { readonly kind: 'refused' | 'repaired'; readonly plan: RepairPlan }

/**
 * Repairs under the lock, or finishes a repair that was interrupted. Throws `SPOOL_LOCKED`, `SOURCE_UNREADABLE`,
 * `SPOOL_VERSION`, and what the file system throws; the same call again goes on from there.
 */
export function repairSpool(files: Files, directory: string, request: RepairRequest): RepairOutcome {
  const lock = lockSpool(directory)
  try {
    const plan = readJournal(files, directory) ?? planAnew(files, directory, request)
    if (plan === undefined) return { kind: 'whole' }
    if (!request.acceptsLoss) return { kind: 'refused', plan }
    carryOut(files, directory, plan)
    return { kind: 'repaired', plan }
  } finally {
    lock.release()
  }
}

function planAnew(files: Files, directory: string, request: RepairRequest): RepairPlan | undefined {
  const checked = checkSpool(files, directory, { isLive: false, onSegment: request.onSegment })
  return checked.damage.length === 0 ? undefined : planRepair(files, checked, request)
}

function carryOut(files: Files, directory: string, plan: RepairPlan): void {
  const own = openDirectory(files, directory)
  try {
    files.syncDirectory(own.file)
    if (!exists(repairPath(directory))) {
      const bytes = Buffer.from(`${JSON.stringify(plan, null, 2)}\n`)
      writeWhole(files, own.file, { path: repairPath(directory), bytes })
    }
    const corrupt = quarantinePath(directory, 'corrupt', plan.id)
    ensureDurably(files, directory, corrupt)
    if (!isDone(files, directory, plan)) {
      takeOut(files, directory, plan)
      beginStream(files, own, plan)
    }
    moveFile(files, repairPath(directory), join(corrupt, 'repair.json'))
  } finally {
    files.close(own.file)
  }
}

function takeOut(files: Files, directory: string, { id, moved, copied }: RepairPlan): void {
  const corrupt = quarantinePath(directory, 'corrupt', id)
  for (const segment of moved) moveFile(files, segmentPath(directory, segment), join(corrupt, segmentName(segment)))
  if (copied !== undefined) {
    const folder = quarantinePath(directory, copied.kind, id)
    ensureDurably(files, directory, folder)
    copyFile(files, segmentPath(directory, copied.segment), join(folder, segmentName(copied.segment)))
  }
  copyFile(files, controlPath(directory), join(corrupt, 'control'))
}

/** Control is the new one already: killed after it was replaced. */
function isDone(files: Files, directory: string, { state }: RepairPlan): boolean {
  const control = readControl(files, directory)
  return control.kind === 'state' && control.state.stream === state.stream
}

function beginStream(files: Files, own: OpenDirectory, plan: RepairPlan): void {
  const { segment, keptTo, state } = plan
  removeIfPresent(files, temporaryPath(own.path, segment))
  removeIfPresent(files, `${controlPath(own.path)}.tmp`)
  if (!exists(segmentPath(own.path, segment))) {
    const { spoolId, stream, epoch } = state
    const start = { segment, previous: keptTo, nextSequence: 1, hash: undefined, records: [] }
    files.close(publishSegment(files, own, { spoolId, stream, epoch, ...start }).file)
  }
  files.syncDirectory(own.file) // it may have had its name already, and a kill before it was durable
  replaceControl(files, own, {
    state: { ...state, watermark: startOf(files, own.path, segment) },
    machine: machineId(),
  })
}

function startOf(files: Files, directory: string, segment: number): Watermark {
  const decoded = readSegmentHeader(files, directory, segment)
  if (!decoded.ok) throw new Error(`segment ${segment}, just written: ${decoded.reason}`)
  return { segment, offset: segmentHeaderBytes, nextSequence: 1, frameNumber: 0, frameCrc: decoded.crc }
}

/** `undefined` when no repair has begun. */
function readJournal(files: Files, directory: string): RepairPlan | undefined {
  if (!exists(repairPath(directory))) return undefined
  return JSON.parse(readWhole(files, repairPath(directory)).toString()) as RepairPlan
}
