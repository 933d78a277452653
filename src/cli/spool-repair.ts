/** `otel-audit spool repair`: go on with a damaged spool, knowing and declaring what is lost. */

import { join } from 'node:path'
import { AuditError } from '../errors.ts'
import { diskFiles } from '../spool/files.ts'
import { shellWord } from '../spool/refusals.ts'
import { type RepairOutcome, repairSpool } from '../spool/repair.ts'
import type { RepairPlan } from '../spool/repair-plan.ts'
import { type Command, parseOptions } from './command.ts'
import { startProgress } from './progress.ts'
import { formatBytes, formatCount, readDirectory, refuseFurther, userName } from './spool-arguments.ts'
import { findingsOf, findingsShown, moreFindings, type SpoolFinding } from './spool-check.ts'

/** What `spool repair --json` prints. */
export interface SpoolRepair {
  readonly directory: string
  /** `whole`: nothing to repair · `refused`: not done, loss was not accepted · `repaired`. */
  readonly outcome: RepairOutcome['kind']
  /** What was done, or would be. */
  readonly repair?: {
    /** Names it in quarantine and in the sealed gap. */
    readonly id: string
    readonly findings: readonly SpoolFinding[]
    /** The last whole record, which the new stream follows. */
    readonly follows?: { readonly stream: string; readonly sequence: number }
    readonly newStream: string
    /** Records that are no longer in the spool, as far as they are known. */
    readonly lost: {
      readonly count: number
      readonly bytes: number
      readonly ranges: readonly { readonly stream: string; readonly from: number; readonly to: number }[]
    }
    /** Where what was taken out lies, and how many of its records are whole. */
    readonly quarantine: { readonly directory: string; readonly segments: readonly number[]; readonly records: number }
  }
}

const options = {
  'accept-loss': { type: 'boolean', default: false },
  why: { type: 'string' },
  operator: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const

export const repair: Command = {
  name: 'spool repair',
  summary: 'go on with a damaged spool, declaring what is lost',
  help: `Usage: otel-audit spool repair DIR --accept-loss [--why TEXT] [--operator NAME] [--json]

Keeps every whole record before the first damage, moves everything behind it to DIR/quarantine (nothing is deleted),
and begins a new stream that follows the last whole record. The next start seals an audit.gap record that says what is
missing, who accepted it and why. Without --accept-loss it changes nothing and shows what would be lost. No process may
be writing the spool. Killed at any point, it goes on when it is run again.
Exit code 0: repaired, or nothing was damaged. 2: loss was not accepted, or it could not.

Options:
  --accept-loss    do it
  --why TEXT       why the loss is accepted; sealed into the trail, at most 512 bytes
  --operator NAME  who accepts it (default: the user's name)
  --json           print one JSON object (type SpoolRepair)
  -h, --help       show this

Examples:
  otel-audit spool repair ./audit-spool
  otel-audit spool repair ./audit-spool --accept-loss --why 'disk sdb replaced, ticket 4711'
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    refuseFurther(positionals.slice(1))
    const directory = readDirectory(positionals[0])
    const progress = startProgress(io)
    const outcome = repairStopped(directory, {
      acceptsLoss: values['accept-loss'],
      operator: values.operator ?? userName(),
      why: values.why,
      onSegment: (index, of) => progress.show(`segment ${index + 1} of ${of}`),
    })
    progress.clear()
    const report = reportOf(directory, outcome)
    io.stdout.write(values.json ? `${JSON.stringify(report)}\n` : describeRepair(report))
    return outcome.kind === 'refused' ? 2 : 0
  },
}

function repairStopped(directory: string, request: Parameters<typeof repairSpool>[2]): RepairOutcome {
  try {
    return repairSpool(diskFiles, directory, request)
  } catch (error) {
    if (!(error instanceof AuditError) || error.code !== 'SPOOL_LOCKED') throw error
    const hint = 'End that process first, then run this again: a spool is repaired only while nobody writes it.'
    throw new AuditError('SPOOL_LOCKED', error.message, { setting: 'DIR', hint, cause: error })
  }
}

function reportOf(directory: string, outcome: RepairOutcome): SpoolRepair {
  if (outcome.kind === 'whole') return { directory, outcome: 'whole' }
  return { directory, outcome: outcome.kind, repair: describePlan(directory, outcome.plan) }
}

function describePlan(directory: string, plan: RepairPlan): NonNullable<SpoolRepair['repair']> {
  const { id, damage, lost, moved, copied, state } = plan
  const { predecessor } = state
  const isKnown = predecessor !== undefined && predecessor.sequence > 0
  const { count, bytes, ranges, whole } = lost
  const segments = copied === undefined ? moved : [copied.segment, ...moved]
  return {
    id,
    findings: findingsOf(directory, damage),
    ...(isKnown ? { follows: { stream: predecessor.stream, sequence: predecessor.sequence } } : {}),
    newStream: state.stream,
    lost: { count, bytes, ranges },
    quarantine: { directory: join(directory, 'quarantine'), segments, records: whole },
  }
}

function describeRepair({ directory, outcome, repair: made }: SpoolRepair): string {
  if (made === undefined) return `${directory}: whole, nothing to repair\n`
  const { findings, follows, lost, quarantine, newStream, id } = made
  const isDone = outcome === 'repaired'
  const lines = [
    `${directory}: ${isDone ? `repaired (${id})` : `damaged, ${formatCount(findings.length, 'finding')}; nothing was changed`}`,
    ...findings
      .slice(0, findingsShown)
      .map(({ kind, segment, what }) => `  ${kind}${segment === undefined ? '' : ` segment ${segment}`}: ${what}`),
    ...(findings.length > findingsShown ? [moreFindings(findings.length)] : []),
    `  ${isDone ? 'lost' : 'would be lost'}: ${lost.count === 0 ? 'no record that is known of' : formatCount(lost.count, 'record')}, ${formatBytes(lost.bytes)}`,
    ...lost.ranges.map(({ stream, from, to }) => `    sequences ${from} to ${to} of stream ${stream}`),
    `  ${isDone ? 'in' : 'would go to'} ${quarantine.directory}: ${formatCount(quarantine.segments.length, 'segment')} with ${formatCount(quarantine.records, 'whole record')}`,
    `  ${isDone ? 'kept' : 'would be kept'}: ${follows === undefined ? 'nothing' : `everything to sequence ${follows.sequence} of stream ${follows.stream}`}`,
  ]
  if (isDone)
    lines.push(
      `  The next start goes on in stream ${newStream} and seals the gap. Keep quarantine until you know what was in it.`,
    )
  else
    lines.push(
      `  To do it: otel-audit spool repair ${shellWord(directory)} --accept-loss --why 'the reason, for the trail'`,
    )
  return `${lines.join('\n')}\n`
}
