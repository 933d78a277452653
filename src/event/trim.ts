/**
 * Makes any record fit (docs/formats.md section 1b), so that an event can neither evade audit by its size nor
 * wedge delivery. In this order, until it fits: the values in `details`, `changes` and `resource`, largest first;
 * those containers whole, the lists, and what actor, error, request and target hold beyond the members the format
 * names; last, all texts are cut. Deterministic; the record changes, what its members refer to stays as it is.
 */

import { hash } from 'node:crypto'
import { recordBytesMax, trimmedTextBytesMax } from '../limits.ts'
import { type JsonObject, type JsonValue, pointerToken, stringifySorted } from './canonical.ts'
import { isObject, namedTexts } from './object-members.ts'
import { cutText } from './scalar-members.ts'
import { gatherMembers, setMember } from './value.ts'

/** The record's text in the making, and how many bytes it is still too long. */
interface Trimming {
  readonly record: JsonObject
  readonly hasIntegerLikeKey: boolean
  over: number
}

/** A value that may give way, and what would stand in its place. */
interface Candidate {
  readonly owner: JsonObject
  readonly key: string
  readonly pointer: string
  readonly bytes: number
  readonly standIn: JsonValue
  readonly saved: number
}

const openContainers = ['changes', 'details', 'resource'] as const
const namedContainers = ['actor', 'error', 'request', 'target'] as const

/** The canonical text, of at most `recordBytesMax` bytes, of a record whose text has `bytes`. */
export function trimRecord(record: JsonObject, bytes: number, hasIntegerLikeKey: boolean): string {
  const trimming = { record, hasIntegerLikeKey, over: bytes - recordBytesMax }
  giveWay(trimming, valueCandidates(trimming))
  if (trimming.over > 0) giveWay(trimming, containerCandidates(trimming))
  if (trimming.over > 0) cutTexts(trimming.record)
  return stringifySorted(trimming.record, hasIntegerLikeKey)
}

/** Puts the stand-ins of the largest candidates in their places until nothing is over. */
function giveWay(trimming: Trimming, candidates: readonly Candidate[]): void {
  const largestFirst = candidates.filter(({ saved }) => saved > 0)
  largestFirst.sort((a, b) => b.bytes - a.bytes || (a.pointer < b.pointer ? -1 : 1))
  for (const { owner, key, standIn, saved } of largestFirst) {
    if (trimming.over <= 0) return
    setMember(owner, key, standIn)
    trimming.over -= saved
  }
}

function valueCandidates(trimming: Trimming): Candidate[] {
  return openContainers.flatMap((name) => {
    const given = trimming.record[name]
    if (!isObject(given)) return []
    const owner = { ...given }
    trimming.record[name] = owner
    return Object.keys(owner).map((key) => markable(trimming, owner, { key, pointer: `/${name}/${pointerToken(key)}` }))
  })
}

function containerCandidates(trimming: Trimming): Candidate[] {
  const { record } = trimming
  const containers = openContainers.filter((name) => name in record)
  const { targets, redactions, validation } = record
  const candidates = containers.map((name) => markable(trimming, record, { key: name, pointer: `/${name}` }))
  const offer = (key: string, value: JsonValue, standIn: JsonValue): void => {
    const bytes = sizeOf(trimming, value)
    candidates.push({
      owner: record,
      key,
      pointer: `/${key}`,
      bytes,
      standIn,
      saved: bytes - sizeOf(trimming, standIn),
    })
  }
  if (targets !== undefined) offer('targets', targets, [marker(print(trimming, targets))])
  if (redactions !== undefined) offer('redactions', redactions, sumReceipts(redactions))
  if (validation !== undefined) offer('validation', validation, trimmedNote)
  for (const name of namedContainers) {
    const given = record[name]
    if (isObject(given)) offer(name, given, keepNamed(trimming, given, namedTexts[name]))
  }
  return candidates
}

/** A candidate for which a marker would stand. */
function markable(trimming: Trimming, owner: JsonObject, at: { key: string; pointer: string }): Candidate {
  const text = print(trimming, owner[at.key] ?? null)
  const bytes = Buffer.byteLength(text)
  const standIn = marker(text, bytes)
  return { owner, ...at, bytes, standIn, saved: bytes - sizeOf(trimming, standIn) }
}

/** What stands for a trimmed value. Short ones get no digest, from which they could be guessed. */
function marker(text: string, bytes = Buffer.byteLength(text)): JsonObject {
  return bytes < 256 ? { bytes, trimmed: true } : { bytes, sha256: hash('sha256', text, 'hex'), trimmed: true }
}

/** The texts and numbers among the named members, and one marker under `…` for everything else. */
function keepNamed(trimming: Trimming, members: JsonObject, named: readonly string[]): JsonObject {
  const isKept = (key: string): boolean => (named.includes(key) || key === 'status') && typeof members[key] !== 'object'
  const kept = Object.keys(members).filter(isKept)
  const others = { ...members }
  for (const key of kept) delete others[key]
  return gatherMembers([...kept, '…'], [...kept.map((key) => members[key] ?? null), marker(print(trimming, others))])
}

const trimmedNote: JsonValue = [{ pointer: '', rule: 'trimmed' }]
const rulesKept = 32

/** The receipts added up by rule, without their places. */
function sumReceipts(receipts: JsonValue): JsonValue {
  const counts = new Map<string, number>()
  for (const receipt of Array.isArray(receipts) ? receipts : []) {
    if (!isObject(receipt)) continue
    const given = String(receipt.rule)
    const rule = counts.has(given) || counts.size < rulesKept ? given : '…'
    counts.set(rule, (counts.get(rule) ?? 0) + Number(receipt.count))
  }
  return [...counts].map(([rule, count]) => ({ count, pointer: '', rule }))
}

/** Cuts every text of the record, and of the objects whose members the format names. */
function cutTexts(record: JsonObject): void {
  for (const name of namedContainers) {
    const members = record[name]
    if (isObject(members)) record[name] = cutMembers({ ...members })
  }
  cutMembers(record)
  record.validation = trimmedNote // the last key in sorted order, should it be new
}

function cutMembers(members: JsonObject): JsonObject {
  for (const [key, value] of Object.entries(members)) {
    if (typeof value === 'string') setMember(members, key, cutText(value, trimmedTextBytesMax))
  }
  return members
}

function print({ hasIntegerLikeKey }: Trimming, value: JsonValue): string {
  return stringifySorted(value, hasIntegerLikeKey)
}

function sizeOf(trimming: Trimming, value: JsonValue): number {
  return Buffer.byteLength(print(trimming, value))
}
