/**
 * How the wish to have records sent again reaches delivery, which runs in another process: a file in `resend/NAME/` of
 * the spool directory, `ID.request.json`; when it is done, `ID.answer.json` stands in its place. A request outlives every
 * process and is done once one delivers. Its id is made of what it asks for: asked twice, it is one.
 */

import { join } from 'node:path'
import { leafHash } from '../chain/hash.ts'
import { encodeName } from '../spool/cursor.ts'
import { ensureDirectory, exists, type Files } from '../spool/files.ts'
import { removeIfPresent } from '../spool/whole-file.ts'
import type { SequenceRange } from '../verify/reconcile.ts'
import { readJson, writeJson } from './json-file.ts'

const requestEnd = '.request.json'
const idLength = 12

export interface ResendRequest {
  readonly ranges: readonly SequenceRange[]
  readonly operator: string
  readonly why?: string | undefined
  /** When it was asked for: RFC 3339. */
  readonly asked: string | undefined
}

export interface ResendAnswer {
  /** Records that the destination has confirmed. */
  readonly sent: number
  /** What the spool does not have any more. */
  readonly gone: readonly SequenceRange[]
  /** What the destination refused, and why. */
  readonly refused: readonly (SequenceRange & { readonly reason: string })[]
  readonly answered: string | undefined
}

/** A request of one destination. */
export interface ResendPlace {
  readonly folder: string
  readonly id: string
}

/** The place of a request for these ranges. */
export function resendPlace(directory: string, name: string, ranges: readonly SequenceRange[]): ResendPlace {
  const id = leafHash(Buffer.from(JSON.stringify(ranges))).slice(0, idLength)
  return { folder: resendFolder(directory, name), id }
}

/** What is asked of a destination and not done, in no order. */
export function listResends(files: Files, directory: string, name: string): ResendPlace[] {
  const folder = resendFolder(directory, name)
  if (!exists(folder)) return []
  const requests = files.list(folder).filter((file) => file.endsWith(requestEnd))
  return requests.map((file) => ({ folder, id: file.slice(0, -requestEnd.length) }))
}

/** Durable on return. An earlier answer goes. */
export function writeResend(files: Files, place: ResendPlace, request: ResendRequest): void {
  ensureDirectory(join(place.folder, '..'))
  ensureDirectory(place.folder)
  forgetAnswer(files, place)
  writeJson(files, requestPath(place), request)
}

export function readResend(files: Files, place: ResendPlace): ResendRequest | undefined {
  const request = readJson<Partial<ResendRequest>>(files, requestPath(place))
  if (!Array.isArray(request?.ranges) || !request.ranges.every(isRange)) return undefined
  return { operator: 'unknown', asked: undefined, ...request, ranges: request.ranges }
}

/** The answer takes the place of the request; durable on return. */
export function answerResend(files: Files, place: ResendPlace, answer: ResendAnswer): void {
  writeJson(files, answerPath(place), answer)
  removeIfPresent(files, requestPath(place))
}

export function readResendAnswer(files: Files, place: ResendPlace): ResendAnswer | undefined {
  return readJson<ResendAnswer>(files, answerPath(place))
}

/** Whoever asked has read it. */
export function forgetAnswer(files: Files, place: ResendPlace): void {
  removeIfPresent(files, answerPath(place))
}

function isRange(range: Partial<SequenceRange> | undefined): boolean {
  return typeof range?.stream === 'string' && Number.isSafeInteger(range.from) && Number.isSafeInteger(range.to)
}

function resendFolder(directory: string, name: string): string {
  return join(directory, 'resend', encodeName(name))
}

function requestPath({ folder, id }: ResendPlace): string {
  return join(folder, `${id}${requestEnd}`)
}

function answerPath({ folder, id }: ResendPlace): string {
  return join(folder, `${id}.answer.json`)
}
