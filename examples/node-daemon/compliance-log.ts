/** The compliance log as a reviewer finds it: its files, what each holds, and whether something stands in it that must not. */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'

export interface LogFile {
  readonly name: string
  readonly mode: string
  readonly records: number
}

export interface LoggedRecord {
  readonly event_type: string
  readonly action: string
  readonly actor?: { readonly type?: string; readonly id?: string }
  readonly outcome?: string
  readonly error?: { readonly class?: string; readonly code?: string; readonly message?: string }
  readonly validation?: unknown
  readonly correlation_id?: string
  readonly details?: Readonly<Record<string, unknown>>
}

export interface ComplianceLog {
  /** Closed files in their order, and the one being written. */
  readonly files: readonly LogFile[]
  readonly text: string
  /** What the daemon logged; records of the trail about itself are not among them. */
  readonly events: readonly LoggedRecord[]
  /** Records of the trail about itself, by type. */
  readonly controls: readonly LoggedRecord[]
}

export function readLog(path: string): ComplianceLog {
  const names = readdirSync(dirname(path)).filter((name) => name.startsWith(basename(path)) && !name.endsWith('.lock'))
  const closed = names.filter((name) => name !== basename(path)).sort()
  const read = [...closed, basename(path)].map((name) => readLogFile(join(dirname(path), name)))
  const text = read.map((file) => file.text).join('')
  const records = linesOf(text).map((line) => JSON.parse(line) as LoggedRecord)
  return {
    files: read.map(({ text, ...file }) => ({ ...file, records: linesOf(text).length })),
    text,
    events: records.filter(({ event_type }) => event_type === 'audit'),
    controls: records.filter(({ event_type }) => event_type !== 'audit'),
  }
}

function readLogFile(path: string) {
  const bytes = readFileSync(path)
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
  return { name: basename(path), mode: (statSync(path).mode & 0o777).toString(8), text }
}

/** How many events there are of each kind; `ai.call` by its result. */
export function countActions(events: readonly LoggedRecord[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { action, details } of events) {
    const name = action === 'ai.call' ? `ai.call ${details?.result}` : action
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

/** Findings whose call is not in the log under the same cycle. */
export function unlinkedFindings(events: readonly LoggedRecord[]): number {
  const cyclesOf = (action: string) => events.filter((event) => event.action === action).map((event) => event.details)
  const called = new Set(cyclesOf('ai.call').map((details) => details?.cycle_id))
  return cyclesOf('finding.emit').filter((details) => !called.has(details?.cycle_id)).length
}

/** What must not stand in the log, by name. Hours are no IPv6 addresses, and routes of one part are no paths. */
const unwanted: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['an IPv4 address', /\b\d{1,3}(?:\.\d{1,3}){3}\b/],
  ['an IPv6 address', /2001:db8|::ffff/i],
  ['a process id', /\bpid[=:] ?\d/],
  ['a path', /\/(?:usr|etc|lib|opt|sys|var|tmp|home|root)\/\w/],
  ['an e-mail address', /@example\.com/],
  ['the text of an observation', /connected to|wrote|loaded|traced/],
  ['the text of an answer', /looks|too many questions/],
  ['a stack', /cannot read|\bat .*\.ts\b/],
]

/** What of it was found. */
export function leaksIn(text: string): string[] {
  return unwanted.filter(([, pattern]) => pattern.test(text)).map(([name]) => name)
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}
