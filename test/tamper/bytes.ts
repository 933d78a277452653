/**
 * Every byte of a copy, changed one at a time in place, and what verification then says. Always holds: the copy is as it
 * was after each try. A change that verification passes over must lie in the final checkpoint record, which nothing
 * covers, or leave every record as it was, as somebody sees who reads the copy without our code.
 */

import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import type { Verifier } from '../../src/chain/note.ts'
import { AuditError } from '../../src/errors.ts'
import type { Source } from '../../src/verify/source.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'
import type { ChangedCopy } from './remembered.ts'

/** A copy of the trail in files. */
export interface FileCopy {
  readonly title: string
  /** What `otel-audit verify` is given. */
  readonly path: string
  /** The files whose bytes are changed, beneath `path`; none: the file itself. */
  readonly parts: readonly string[]
  /** The final checkpoint record, as the copy's files hold it; undefined where they hold it in another form. */
  readonly final: Buffer | undefined
  /** What of the bytes is the trail, read without our code; equal: the change has touched no record. */
  readonly read: (part: Buffer) => unknown
  /** Makes what opens it with one byte changed without reading all of it again, where that is possible. */
  readonly remember?: (sound: Buffer) => Promise<(changed: Buffer, at: number) => Promise<ChangedCopy | undefined>>
}

export interface ByteTally {
  readonly title: string
  tried: number
  /** Exit code 1: a finding, and the records stand. */
  findings: number
  /** Exit code 2: the copy could not be read. */
  unreadable: number
  uncovered: number
  beside: number
  /** What must not be. */
  readonly missed: string[]
}

export function emptyTally(title: string): ByteTally {
  return { title, tried: 0, findings: 0, unreadable: 0, uncovered: 0, beside: 0, missed: [] }
}

/** Which bytes are tried: every one whose place has this remainder; `everyBit` changes each of its bits, not one of them. */
export interface Stride {
  readonly step: number
  readonly from: number
  readonly everyBit?: boolean | undefined
  readonly onTried?: ((tally: ByteTally) => void) | undefined
}

/** What several have tried of one source. */
export function joinTallies([first, ...others]: readonly [ByteTally, ...ByteTally[]]): ByteTally {
  const joined = { ...first, missed: [...first.missed] }
  for (const { tried, findings, unreadable, uncovered, beside, missed } of others) {
    joined.tried += tried
    joined.findings += findings
    joined.unreadable += unreadable
    joined.uncovered += uncovered
    joined.beside += beside
    joined.missed.push(...missed)
  }
  return joined
}

/** Changes the bytes of a copy one after the other. */
export async function tryBytes(copy: FileCopy, verifier: Verifier, stride: Stride): Promise<ByteTally> {
  const tally = emptyTally(copy.title)
  if ((await exitCodeOf(copy.path, verifier)) !== 0) throw new Error(`${copy.title} does not verify unchanged`)
  for (const part of copy.parts.length === 0 ? [''] : copy.parts) await tryFile({ copy, part, verifier, stride }, tally)
  return tally
}

interface Try {
  readonly copy: FileCopy
  readonly part: string
  readonly verifier: Verifier
  readonly stride: Stride
}

async function tryFile({ copy, part, verifier, stride }: Try, tally: ByteTally): Promise<void> {
  const path = part === '' ? copy.path : join(copy.path, part)
  const bytes = readFileSync(path)
  const end = endOf(bytes)
  const final = copy.final === undefined ? -1 : bytes.lastIndexOf(copy.final)
  const before = copy.read(bytes)
  const open = await copy.remember?.(Buffer.from(bytes))
  const exitCodes = new Map<string, number>()
  const file = openSync(path, 'r+')
  try {
    for (let at = stride.from; at < end; at += stride.step) {
      for (const change of changesOf(at, stride)) {
        bytes[at] = (bytes[at] ?? 0) ^ change
        writeSync(file, bytes, at, 1, at)
        const { source = copy.path, outcome } = (await open?.(bytes, at)) ?? {}
        const exitCode = exitCodes.get(outcome ?? '') ?? (await exitCodeOf(source, verifier))
        if (outcome !== undefined) exitCodes.set(outcome, exitCode)
        const isFinal = final >= 0 && at >= final && at < final + (copy.final?.length ?? 0)
        tally.tried += 1
        if (exitCode === 1) tally.findings += 1
        else if (exitCode === 2) tally.unreadable += 1
        else if (isFinal || isFinalOnly(copy, before, copy.read(bytes))) tally.uncovered += 1
        else if (isSame(before, copy.read(bytes))) tally.beside += 1
        else tally.missed.push(`${copy.title} ${part} byte ${at}: ${excerpt(bytes, at)}`)
        bytes[at] = (bytes[at] ?? 0) ^ change
        stride.onTried?.(tally)
      }
      writeSync(file, bytes, at, 1, at)
    }
  } finally {
    closeSync(file)
  }
}

function changesOf(at: number, { everyBit = false }: Stride): readonly number[] {
  return everyBit ? [1, 2, 4, 8, 16, 32, 64, 128] : [1 << (at % 8)]
}

/** A segment is longer than its frames; behind them is nothing but zeros. */
function endOf(bytes: Buffer): number {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end -= 1
  return end
}

async function exitCodeOf(copy: string | Source, verifier: Verifier): Promise<number> {
  try {
    const source = typeof copy === 'string' ? await openSource(copy) : copy
    return (await verifySource(source, { verifiers: [verifier] })).exitCode
  } catch (thrown) {
    if (!(thrown instanceof AuditError) || thrown.code !== 'SOURCE_UNREADABLE') throw thrown
    return 2
  }
}

/** Of a copy in another form: every line but the last one, the final checkpoint, stands. */
function isFinalOnly({ final }: FileCopy, before: unknown, after: unknown): boolean {
  if (final !== undefined || !Array.isArray(before) || !Array.isArray(after) || isSame(before, after)) return false
  return before.length === after.length && isSame(before.slice(0, -1), after.slice(0, -1))
}

function isSame(one: unknown, other: unknown): boolean {
  return one !== undefined && JSON.stringify(one) === JSON.stringify(other)
}

function excerpt(bytes: Buffer, at: number): string {
  return JSON.stringify(bytes.subarray(Math.max(0, at - 24), at + 24).toString('latin1'))
}

/** Every byte counts. */
export function readAll(bytes: Buffer): unknown {
  return bytes.toString('latin1')
}

export function readGzip(bytes: Buffer): unknown {
  return readOrNothing(() => gunzipSync(bytes).toString('latin1').trimEnd().split('\n'))
}

export function readZstd(bytes: Buffer): unknown {
  return readOrNothing(() => zstdDecompressSync(bytes).toString('latin1').trimEnd().split('\n'))
}

/** What of a log record the record gives (docs/formats.md); resource, scope, flags and the severity's name are others' word. */
export function readLogRecords(bytes: Buffer): unknown {
  return readOrNothing(() =>
    bytes
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) =>
        (JSON.parse(line) as Batch).resourceLogs.map((one) => one.scopeLogs.map((each) => each.logRecords)),
      )
      .map((groups) => groups.flat(2).map((log) => derivedFields.map((field) => log[field]))),
  )
}

const derivedFields = [
  'timeUnixNano',
  'observedTimeUnixNano',
  'severityNumber',
  'body',
  'attributes',
  'traceId',
  'spanId',
  'eventName',
]

interface Batch {
  readonly resourceLogs: readonly {
    readonly scopeLogs: readonly { readonly logRecords: readonly Readonly<Record<string, unknown>>[] }[]
  }[]
}

/** The texts of a segment that begin and end as records do, whatever frames them. */
export function readSegment(bytes: Buffer): unknown {
  return bytes.toString('latin1').match(/\{"action":[^\n\0]*?"v":"1"\}/g) ?? []
}

function readOrNothing(read: () => unknown): unknown {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** The files beneath a folder, by their paths in it. */
export function filesBeneath(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
    .sort()
}
