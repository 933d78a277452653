/** `otel-audit spool check`: everything that is wrong with a spool, what it means, and what to do. */

import { type CheckedSpool, checkSpool } from '../spool/check.ts'
import { damagedSlots } from '../spool/control.ts'
import { diskFiles } from '../spool/files.ts'
import { isLocked } from '../spool/lock.ts'
import { type Damage, shellWord } from '../spool/refusals.ts'
import type { Command } from './command.ts'
import { startProgress } from './progress.ts'
import { formatCount, lookAtSpools } from './spool-arguments.ts'

/** What `spool check --json` prints. */
export interface SpoolCheck {
  readonly directory: string
  /** A process writes it now: nothing above its durable position was looked at. */
  readonly live: boolean
  /** `damaged`: the next start refuses it, or records below the durable position cannot be read. */
  readonly verdict: 'whole' | 'damaged'
  /** Whole records, up to the first damage. */
  readonly records: number
  /** Whole records behind the first damage. */
  readonly recordsBehind: number
  /** The last whole record before the first damage, or of all. */
  readonly lastWhole?: { readonly stream: string; readonly sequence: number }
  /** Whole records above the last watermark; the next start carries them over. */
  readonly unsettled: number
  /** Bytes of an append that a crash cut off: never acknowledged, no damage. */
  readonly tornBytes: number
  /** Why the next start begins a new stream, if it does. */
  readonly newStream?: string
  readonly findings: readonly SpoolFinding[]
}

export interface SpoolFinding {
  /**
   * Damage: `corrupt` · `missing` · `control` · `owner` (a second process wrote) · `repair` (one was interrupted). To
   * know, and no damage: `torn` · `slot` (one slot of control) · `void` (a file that nothing leads to) · `copied`.
   */
  readonly kind: Damage['kind'] | 'torn' | 'slot' | 'void' | 'copied'
  readonly isDamage: boolean
  readonly segment?: number
  readonly offset?: number
  readonly what: string
  readonly meaning: string
  readonly remedy: string
}

export const check: Command = {
  name: 'spool check',
  summary: 'whether a spool is whole',
  help: `Usage: otel-audit spool check DIR [--json]

Reads every frame of the spool, says what is damaged, what that means and what to do, and what the next start
would find. Works on a spool however damaged. Writes nothing and takes no lock. DIR may hold slots (instances:
'slots'): then each of them.
Exit code 0: whole. 1: damaged. 2: cannot be read at all.

Options:
  --json      print one JSON object a spool, one line each (type SpoolCheck)
  -h, --help  show this

Examples:
  otel-audit spool check ./audit-spool
  otel-audit spool check ./audit-spool --json
`,
  async run(argv, io) {
    return lookAtSpools(argv, io, (spool, json) => {
      const progress = startProgress(io)
      const onSegment = (index: number, of: number) => progress.show(`${spool}: segment ${index + 1} of ${of}`)
      const report = reportOf(checkSpool(diskFiles, spool, { isLive: isLocked(spool), onSegment }))
      progress.clear()
      io.stdout.write(json ? `${JSON.stringify(report)}\n` : describeCheck(report))
      return report.verdict === 'whole' ? 0 : 1
    })
  },
}

type Kind = SpoolFinding['kind']

const meanings: Record<Kind, string> = {
  corrupt: 'bytes that were durable have changed or are gone: the disk, or somebody, changed the file',
  missing: 'a file that was durable is gone: it was removed, or not restored with the others',
  control: 'nothing tells where the durable part begins and ends, which is more than the segments say',
  owner: 'two processes have written this spool: numbers may stand for two records each',
  repair: 'a repair has begun and moved part of the spool; only the repair itself knows the rest',
  torn: 'an append that a crash cut off: it was never acknowledged',
  slot: 'a save that a crash cut off; the other slot holds what counts',
  void: 'a file that nothing leads to: prepared and never used, or superseded',
  copied: 'control was written in another place: this is a copy, or it was restored',
}

function remedyOf(kind: Kind, directory: string): string {
  const repair = `otel-audit spool repair ${shellWord(directory)} --accept-loss`
  if (kind === 'torn') return 'nothing: the next start cuts it off and begins a new stream'
  if (kind === 'slot') return 'nothing: the next start replaces control'
  if (kind === 'void') return 'nothing: the next start removes it'
  if (kind === 'copied') return 'nothing: the next start begins a new stream, so that no number is issued twice'
  if (kind === 'repair') return `finish it: ${repair}`
  if (kind === 'owner') return `find out which process it was; then go on without what it wrote: ${repair}`
  return `restore the file from a copy of this very spool, or go on without what is damaged: ${repair}`
}

/** The findings of damage, as every command of `spool` reports them. */
export function findingsOf(directory: string, damage: readonly Damage[]): SpoolFinding[] {
  return damage.map((one) => findingOf(directory, { ...one, isDamage: true }))
}

function findingOf(
  directory: string,
  one: { kind: Kind; isDamage: boolean; segment?: number | undefined; offset?: number | undefined; what: string },
): SpoolFinding {
  const { kind, isDamage, segment, offset, what } = one
  const place = { ...(segment === undefined ? {} : { segment }), ...(offset === undefined ? {} : { offset }) }
  return { kind, isDamage, ...place, what, meaning: meanings[kind], remedy: remedyOf(kind, directory) }
}

function reportOf(checked: CheckedSpool): SpoolCheck {
  const { directory, live, damage, examined, next } = checked
  const { end, records, behind } = examined
  const lastWhole = end === undefined || end.sequence === 0 ? undefined : { stream: end.stream, sequence: end.sequence }
  return {
    directory,
    live,
    verdict: damage.length === 0 ? 'whole' : 'damaged',
    records,
    recordsBehind: behind.records,
    ...(lastWhole === undefined ? {} : { lastWhole }),
    unsettled: next?.unsettled ?? 0,
    tornBytes: next?.tornBytes ?? 0,
    ...(next?.reason === undefined ? {} : { newStream: next.reason }),
    findings: [...findingsOf(directory, damage), ...harmless(checked)],
  }
}

/** What a crash leaves behind and the next start mends, beside a spool that is otherwise whole. */
function harmless(checked: CheckedSpool): SpoolFinding[] {
  const { directory, live, damage, state, segments, examined, next } = checked
  if (live || damage.length > 0) return []
  const { torn } = examined
  const found: Parameters<typeof findingOf>[1][] = []
  if (next?.reason === 'copied') found.push({ kind: 'copied', isDamage: false, what: 'the spool has moved' })
  for (const slot of state === undefined ? [] : damagedSlots(diskFiles, directory)) {
    found.push({ kind: 'slot', isDamage: false, what: `slot ${slot} of control cannot be read` })
  }
  for (const segment of segments.aside) {
    found.push({ kind: 'void', isDamage: false, segment, what: 'no segment leads to it' })
  }
  if (torn !== undefined) {
    const { segment, offset, bytes } = torn
    const what = `${bytes} bytes follow the last whole frame, and nothing proves that they were durable`
    found.push({ kind: 'torn', isDamage: false, segment, offset, what })
  }
  return found.map((one) => findingOf(directory, one))
}

/** Most findings printed for people; `--json` lists all. */
export const findingsShown = 20

export function moreFindings(count: number): string {
  return `  … and ${formatCount(count - findingsShown, 'finding')} more (--json lists all)`
}

function describeCheck(report: SpoolCheck): string {
  const { directory, verdict, live, findings, records, recordsBehind, lastWhole, unsettled, newStream } = report
  const damage = findings.filter(({ isDamage }) => isDamage).length
  const counted = damage === 0 ? formatCount(records, 'record') : `${formatCount(damage, 'finding')} of damage`
  const lines = [
    `${directory}: ${verdict}, ${counted}${live ? ', as far as they are durable: a process writes it' : ''}`,
  ]
  for (const { kind, segment, offset, what, meaning, remedy } of findings.slice(0, findingsShown)) {
    const place = segment === undefined ? '' : ` segment ${segment}${offset === undefined ? '' : ` offset ${offset}`}`
    lines.push(`  ${kind}${place}: ${what}`, `      means  ${meaning}`, `      do     ${remedy}`)
  }
  if (findings.length > findingsShown) lines.push(moreFindings(findings.length))
  if (damage > 0) {
    const last =
      lastWhole === undefined ? '' : `, the last of them sequence ${lastWhole.sequence} of ${lastWhole.stream}`
    lines.push(`  ${formatCount(records, 'whole record')} before the damage${last}; ${recordsBehind} whole behind it`)
    lines.push('  The spool is as it was. Keep a copy of the directory before you change anything.')
  }
  if (unsettled > 0) lines.push(`  the next start carries over ${formatCount(unsettled, 'record')}`)
  if (newStream !== undefined) lines.push(`  the next start begins a new stream (${newStream})`)
  return `${lines.join('\n')}\n`
}
