/**
 * Makes any record fit (docs/formats.md section 1b), so that an event can neither evade audit by its size nor
 * wedge delivery. In this order, until it fits: the values in `details`, `changes` and `resource`, largest first;
 * those containers whole, the lists, and what actor, target, request and error hold beyond the members the format
 * names; last, all texts are cut. Deterministic; the record given is left as it is.
 */

import { hash } from 'node:crypto'
import { recordBytesMax, trimmedTextBytesMax } from '../limits.ts'
import { canonicalize, type JsonObject, type JsonValue, pointerToken } from './canonical.ts'
import { isObject, namedTexts } from './object-members.ts'
import { cutText } from './scalar-members.ts'
import { gatherMembers, setMember } from './value.ts'

/** A value that may give way, and what would stand in its place. */
interface Candidate {
  readonly pointer: string
  /** Canonical size of what stands there now. */
  readonly bytes: number
  readonly saved: number
  readonly replace: () => void
}

/** The canonical text of the record, trimmed to at most `recordBytesMax` bytes. */
export function trimRecord(record: JsonObject): string {
  const trimmed: JsonObject = { ...record }
  let over = canonicalBytes(trimmed) - recordBytesMax
  over = giveWay(valueCandidates(trimmed), over)
  if (over > 0) over = giveWay(containerCandidates(trimmed), over)
  if (over > 0) cutTexts(trimmed)
  return canonicalize(trimmed)
}

/** Replaces the largest candidates until nothing is over; returns what still is. */
function giveWay(candidates: Candidate[], over: number): number {
  candidates.sort((a, b) => b.bytes - a.bytes || (a.pointer < b.pointer ? -1 : 1))
  let left = over
  for (const candidate of candidates) {
    if (left <= 0) break
    candidate.replace()
    left -= candidate.saved
  }
  return left
}

function valueCandidates(record: JsonObject): Candidate[] {
  return openContainers.flatMap((name) => {
    const given = record[name]
    if (!isObject(given)) return []
    const members = { ...given }
    record[name] = members
    return Object.entries(members).flatMap(([key, value]) => {
      return offer({ members, key, pointer: `/${name}/${pointerToken(key)}` }, marker(value))
    })
  })
}

function containerCandidates(record: JsonObject): Candidate[] {
  const candidates: Candidate[] = []
  const consider = (key: string, standIn: (value: JsonValue) => JsonValue): void => {
    const value = record[key]
    if (value !== undefined) candidates.push(...offer({ members: record, key, pointer: `/${key}` }, standIn(value)))
  }
  for (const name of openContainers) consider(name, marker)
  consider('targets', (targets) => [marker(targets)])
  consider('redactions', sumRedactions)
  consider('validation', () => [{ pointer: '', rule: 'trimmed' }])
  for (const name of namedContainers) consider(name, (value) => keepNamed(name, value))
  return candidates
}

const openContainers = ['changes', 'details', 'resource'] as const
const namedContainers = ['actor', 'error', 'request', 'target'] as const

/** A candidate, if it saves anything. */
function offer(at: { members: JsonObject; key: string; pointer: string }, standIn: JsonValue): Candidate[] {
  const bytes = canonicalBytes(at.members[at.key] ?? null)
  const saved = bytes - canonicalBytes(standIn)
  const replace = (): void => setMember(at.members, at.key, standIn)
  return saved > 0 ? [{ pointer: at.pointer, bytes, saved, replace }] : []
}

/** What stands for a trimmed value. Short values get no digest, because they could be guessed from it. */
function marker(value: JsonValue): JsonObject {
  const text = canonicalize(value)
  const bytes = Buffer.byteLength(text)
  return bytes < 256 ? { bytes, trimmed: true } : { bytes, sha256: hash('sha256', text, 'hex'), trimmed: true }
}

/** The members that the format names, and one marker under `…` for all others. */
function keepNamed(name: keyof typeof namedTexts, value: JsonValue): JsonValue {
  if (!isObject(value)) return value
  const named: readonly string[] = [...namedTexts[name], 'status']
  const keys = Object.keys(value).filter((key) => named.includes(key) && !isContainer(value[key]))
  const others = Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)))
  return gatherMembers([...keys, '…'], [...keys.map((key) => value[key] ?? null), marker(others)])
}

/** Counts by rule, without pointers. */
function sumRedactions(redactions: JsonValue): JsonValue {
  const counts = new Map<string, number>()
  for (const receipt of Array.isArray(redactions) ? redactions : []) {
    if (!isObject(receipt)) continue
    const rule = counts.size < rulesKept ? String(receipt.rule) : '…'
    counts.set(rule, (counts.get(rule) ?? 0) + Number(receipt.count))
  }
  return [...counts].map(([rule, count]) => ({ count, pointer: '', rule }))
}

const rulesKept = 32

/** Cuts every text of the record and of the containers whose members the format names. */
function cutTexts(record: JsonObject): void {
  for (const name of namedContainers) {
    const given = record[name]
    if (!isObject(given)) continue
    const members = { ...given }
    record[name] = members
    cutMembers(members)
  }
  cutMembers(record)
  record.validation = [{ pointer: '', rule: 'trimmed' }]
}

function cutMembers(members: JsonObject): void {
  for (const [key, value] of Object.entries(members)) {
    if (typeof value === 'string') setMember(members, key, cutText(value, trimmedTextBytesMax))
  }
}

function isContainer(value: JsonValue | undefined): boolean {
  return typeof value === 'object' && value !== null
}

function canonicalBytes(value: JsonValue): number {
  return Buffer.byteLength(canonicalize(value))
}
