/**
 * How an operator's word on quarantined records reaches delivery, which runs in another process: a file beside the
 * records, `RUN.request.json`; where it could not be done, the answer stands in `RUN.answer.json`. Both are read and
 * written by people too. A request outlives every process and is done once one delivers; a damaged one counts as none.
 */

import { join } from 'node:path'
import type { JsonObject } from '../event/canonical.ts'
import { type Files, syncNames } from '../spool/files.ts'
import { type SetAsideFile, setAsideFileName, setAsidePath } from '../spool/set-aside.ts'
import { removeIfPresent } from '../spool/whole-file.ts'
import { readJson, writeJson } from './json-file.ts'
import type { QuarantineFact } from './quarantine.ts'

/** What shall become of quarantined records: sent once more, or given up for this destination. */
export interface ResolutionRequest {
  readonly resolution: 'retry' | 'discard'
  readonly operator: string
  readonly why?: string | undefined
  /** When it was asked for: RFC 3339. */
  readonly asked: string | undefined
}

/** Why a request was not done: the destination refused the records again. */
export interface ResolutionAnswer {
  readonly reason: string
  readonly answered: string | undefined
}

/** A run and the folder in which it lies. */
export interface QuarantinedRun {
  readonly folder: string
  readonly run: SetAsideFile
}

/** Durable on return. An earlier request is replaced; an earlier answer goes. */
export function writeRequest(files: Files, place: QuarantinedRun, request: ResolutionRequest): void {
  removeIfPresent(files, answerPath(place))
  writeJson(files, requestPath(place), request)
}

export function readRequest(files: Files, place: QuarantinedRun): ResolutionRequest | undefined {
  const request = readJson<ResolutionRequest>(files, requestPath(place))
  return request?.resolution === 'retry' || request?.resolution === 'discard' ? request : undefined
}

/** The answer takes the place of the request; durable on return. */
export function writeAnswer(files: Files, place: QuarantinedRun, answer: ResolutionAnswer): void {
  writeJson(files, answerPath(place), answer)
  removeIfPresent(files, requestPath(place))
}

export function readAnswer(files: Files, place: QuarantinedRun): ResolutionAnswer | undefined {
  return readJson<ResolutionAnswer>(files, answerPath(place))
}

/** Takes the records and what was asked about them away; what is left after a crash goes with the next call. */
export function removeRun(files: Files, place: QuarantinedRun): void {
  removeIfPresent(files, setAsidePath(place.folder, place.run))
  removeIfPresent(files, requestPath(place))
  removeIfPresent(files, answerPath(place))
  syncNames(files, place.folder)
}

/** What is sealed when quarantined records are resolved. */
export function resolutionFact(
  { kind, stream, details }: QuarantineFact,
  { resolution, operator, why }: ResolutionRequest,
): QuarantineFact {
  const { reason: _, ...place } = details
  const outcome: JsonObject = { resolution: resolution === 'retry' ? 'delivered' : 'discarded', operator }
  if (why !== undefined) outcome.why = why
  return { kind, type: 'audit.quarantine.resolved', stream, details: { ...place, ...outcome } as JsonObject }
}

function requestPath(place: QuarantinedRun): string {
  return join(place.folder, `${stemOf(place)}.request.json`)
}

function answerPath(place: QuarantinedRun): string {
  return join(place.folder, `${stemOf(place)}.answer.json`)
}

function stemOf({ run }: QuarantinedRun): string {
  return setAsideFileName({ ...run, isSealed: true }).slice(0, -'.ndjson'.length)
}
