/** `otel-audit spool status`: what a spool holds, how it is doing, and what each destination keeps in it. */

import { nowMs } from '../clock.ts'
import { readControl } from '../spool/control.ts'
import { cursorFileName, cursorName, readCursor } from '../spool/cursor.ts'
import { diskFiles } from '../spool/files.ts'
import { countReclaimable, retainedSegments } from '../spool/reclaim.ts'
import { readWindows, type SuppressionWindow } from '../spool/running-counts.ts'
import { readPath } from '../spool/segment.ts'
import { type SpoolView, viewSpool } from '../spool/view.ts'
import type { Command } from './command.ts'
import { formatBytes, formatCount, lookAtSpools } from './spool-arguments.ts'

/** What `spool status --json` prints. */
export interface SpoolStatus {
  readonly directory: string
  readonly deployment: string
  readonly stream: string
  readonly epoch: number
  /** A process writes it now. */
  readonly live: boolean
  /** The last writer closed it; always false while it is live. */
  readonly clean: boolean
  /** How the live writer is doing: `ok`, `failing`, `full` or `failed`; absent without one. */
  readonly state?: string
  /** Sequence of the last durable record. */
  readonly durable: number
  readonly segments: number
  /** Bytes of all segments. */
  readonly bytes: number
  readonly destinations: readonly SpoolDestination[]
  /** What happened while no writer lived, and the next start seals. */
  readonly facts: readonly { readonly type: string; readonly details: Readonly<Record<string, unknown>> }[]
  /** Counts of suppressed events that no durable record seals; beside a live writer those of the last second may lack. */
  readonly suppressed: readonly SuppressionWindow[]
}

export interface SpoolDestination {
  readonly name: string
  /** Segments stay until it has confirmed them; without, only its cursor is left. */
  readonly isNamed: boolean
  /** Its last confirmed record; absent before the first. */
  readonly stream?: string
  readonly sequence: number
  /** Records of the current stream that it has not confirmed. */
  readonly backlog?: number
  /** What it alone would keep. */
  readonly pinned: { readonly segments: number; readonly bytes: number }
}

export const status: Command = {
  name: 'spool status',
  summary: 'what a spool holds and how far each destination is',
  help: `Usage: otel-audit spool status DIR [--json]

Shows stream, state and durable position, how far each destination is and which segments it keeps, and what
waits to be sealed: facts, and counts of suppressed events. Writes nothing and takes no lock. DIR may hold slots (instances: 'slots'): then each of them.

Options:
  --json      print one JSON object a spool, one line each (type SpoolStatus)
  -h, --help  show this

Examples:
  otel-audit spool status ./audit-spool
  otel-audit spool status ./audit-spool --json
`,
  async run(argv, io) {
    return lookAtSpools(argv, io, (spool, json) => {
      const report = statusOf(spool)
      io.stdout.write(json ? `${JSON.stringify(report)}\n` : describeStatus(report))
      return 0
    })
  },
}

function statusOf(directory: string): SpoolStatus {
  const view = viewSpool(diskFiles, directory)
  const { state, live, durable, segments } = view
  const control = readControl(diskFiles, directory)
  const condition = control.kind === 'state' ? control.published?.state : undefined
  const path = readPath(diskFiles, directory, { first: segments[0] ?? 1, last: segments.at(-1) ?? 0 })
  const retained = retainedSegments(diskFiles, directory, path)
  const { deployment, stream, epoch } = state
  return {
    directory,
    deployment,
    stream,
    epoch,
    live,
    clean: state.clean,
    ...(live && condition !== undefined ? { state: condition } : {}),
    durable: durable.nextSequence - 1,
    segments: segments.length,
    bytes: retained.reduce((sum, { bytes }) => sum + bytes, 0),
    destinations: destinationsOf(view, retained),
    facts: (state.facts ?? []).map(({ type, details }) => ({ type, details })),
    suppressed: readSuppressed(view),
  }
}

function readSuppressed({ directory, state, durable }: SpoolView): SuppressionWindow[] {
  return readWindows(diskFiles, directory)
    .filter(({ sealedAs }) => {
      const isAhead = sealedAs?.stream === state.stream && sealedAs.sequence >= durable.nextSequence
      return sealedAs === undefined || isAhead
    })
    .map(({ from, to, policy, rules }) => ({ from, to, policy, rules }))
}

/** Those that control names, and those of which only the cursor is left. */
export function destinationsOf(view: SpoolView, retained: ReturnType<typeof retainedSegments>): SpoolDestination[] {
  const { directory, state, durable } = view
  const named = state.destinations ?? []
  const files = diskFiles.list(directory)
  const withCursor = files.map(cursorName).filter((name) => name !== undefined)
  return [...new Set([...named, ...withCursor])].map((name) => {
    const hasCursor = files.includes(cursorFileName(name))
    const confirmed = hasCursor ? readCursor(diskFiles, directory, name).confirmed : undefined
    const rules = { destinations: [name], keepMs: 0, nowMs: nowMs() }
    const kept = retained.slice(countReclaimable(diskFiles, directory, { retained, rules }))
    const pinned = { segments: kept.length, bytes: kept.reduce((sum, { bytes }) => sum + bytes, 0) }
    const own = { name, isNamed: named.includes(name), sequence: confirmed?.sequence ?? 0, pinned }
    if (confirmed === undefined) return own
    const isCurrent = confirmed.stream === state.stream
    const backlog = isCurrent ? { backlog: Math.max(0, durable.nextSequence - 1 - confirmed.sequence) } : {}
    return { ...own, stream: confirmed.stream, ...backlog }
  })
}

function describeStatus(report: SpoolStatus): string {
  const writer = report.live
    ? 'a process writes it'
    : report.clean
      ? 'closed'
      : 'not closed; the next start recovers it'
  const condition = report.state === undefined || report.state === 'ok' ? '' : `, state ${report.state}`
  const lines = [
    `${report.directory}: ${report.deployment}, ${writer}${condition}`,
    `  stream ${report.stream}, epoch ${report.epoch}, durable to sequence ${report.durable}`,
    `  ${formatCount(report.segments, 'segment')}, ${formatBytes(report.bytes)}`,
    ...report.destinations.map(describeDestination),
    ...report.facts.map(({ type, details }) => `  to be sealed by the next start: ${type} ${JSON.stringify(details)}`),
    ...report.suppressed.map(describeSuppressed),
  ]
  return `${lines.join('\n')}\n`
}

function describeSuppressed({ from, rules }: SuppressionWindow): string {
  const events = rules.reduce((sum, { count }) => sum + count, 0)
  const ids = [...new Set(rules.map(({ id }) => id))].join(', ')
  return `  suppressed since ${from} and not sealed yet: ${formatCount(events, 'event')} (${ids})`
}

export function describeDestination(one: SpoolDestination): string {
  const stream = one.stream !== undefined && one.backlog === undefined ? ` of the earlier stream ${one.stream}` : ''
  const confirmed = one.sequence === 0 ? 'nothing confirmed' : `confirmed to ${one.sequence}${stream}`
  const backlog = one.backlog === undefined ? '' : `, ${one.backlog.toLocaleString('en-US')} to go`
  const keeps = one.isNamed
    ? `keeps ${formatCount(one.pinned.segments, 'segment')} (${formatBytes(one.pinned.bytes)})`
    : 'keeps nothing: it was dropped'
  return `  ${one.name}: ${confirmed}${backlog}; ${keeps}`
}
