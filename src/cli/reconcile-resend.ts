/**
 * `reconcile --resend`: asks whoever delivers a spool to send again what a copy lacks, and waits for that for a while. It
 * plans by what the spool and its cursors say, and writes nothing but the request; where no process delivers, the next
 * one does it.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { formatTimestamp, monotonicMs, nowMs } from '../clock.ts'
import { AuditError } from '../errors.ts'
import { planResend, type ResendPlan } from '../forward/resend-plan.ts'
import {
  forgetAnswer,
  type ResendAnswer,
  type ResendPlace,
  readResendAnswer,
  resendPlace,
  writeResend,
} from '../forward/resend-request.ts'
import { PublishedEnd } from '../forward/sidecar-end.ts'
import { type RecordNumber, readCursor } from '../spool/cursor.ts'
import { destinationNames } from '../spool/destination-names.ts'
import { diskFiles } from '../spool/files.ts'
import type { Listed, SequenceRange } from '../verify/reconcile.ts'
import type { Source } from '../verify/source.ts'
import { formatCount } from './spool-arguments.ts'

/** Most ranges of one request; for the rest the command is run again. */
const rangesMax = 1_000
/** Most ranges listed of a kind in JSON, and printed for people. */
const shown = { json: 100, text: 10 }
const pollMs = 100

/** What `reconcile --resend` did about one copy. */
export interface Resend {
  /** The copy, and the destination that makes it. */
  readonly copy: string
  readonly destination: string
  /** `planned`: only said (`--dry-run`). `asked`: the next delivering process does it. `answered`: done; see `sent`. */
  readonly outcome: 'nothing' | 'planned' | 'asked' | 'answered'
  /** Records that can be sent again. */
  readonly planned: Listed<SequenceRange>
  /** Records that are not delivered yet: they come by themselves. */
  readonly waiting: Listed<SequenceRange>
  /** Records that the spool has no more. */
  readonly gone: Listed<SequenceRange>
  /** Records that lie in the quarantine. */
  readonly quarantined: Listed<SequenceRange>
  /** Missing records that this run has left out: run it again. */
  readonly later: number
  /** Records that the destination has taken now. */
  readonly sent?: number
  readonly refused?: Listed<SequenceRange & { readonly reason: string }>
}

export interface ResendWish {
  /** The spool that is delivered. */
  readonly spool: string
  /** Name of the destination, where it was said. */
  readonly destination: string | undefined
  readonly operator: string
  readonly why: string | undefined
  readonly waitMs: number
  readonly isDryRun: boolean
}

/** The missing ranges of one copy, as they are found. */
export class MissingRanges {
  readonly ranges: SequenceRange[] = []
  #later = 0

  /** Records that had no room. */
  get later(): number {
    return this.#later
  }

  add(range: SequenceRange): void {
    if (this.ranges.length < rangesMax) this.ranges.push(range)
    else this.#later += range.to - range.from + 1
  }
}

/** The destination that makes a copy. */
export interface Maker {
  readonly name: string
  /** What it had confirmed when it was looked up. */
  readonly confirmed: RecordNumber | undefined
}

/** The destination that was named, the one named like the copy's kind, or the only one; as it stands now. */
export function makerOf(copy: Source, { spool, destination }: ResendWish): Maker {
  const names = destinationNames(diskFiles, spool)
  const usual: Readonly<Record<string, string>> = { ndjson: 'file', archive: 's3' }
  const guess = names.length === 1 ? names[0] : (usual[copy.kind] ?? copy.kind)
  const name = destination ?? guess
  if (name === undefined || !names.includes(name)) throw unknownMaker(copy, destination, names)
  return { name, confirmed: readCursor(diskFiles, spool, name).confirmed }
}

function unknownMaker(copy: Source, destination: string | undefined, names: readonly string[]): AuditError {
  const known = names.length === 0 ? 'The spool has no destinations.' : `Its destinations are: ${names.join(', ')}.`
  const message =
    destination === undefined
      ? `which destination makes ${copy.name} cannot be told`
      : `no destination is named ${destination}`
  const hint = `${known} Name one: --destination NAME`
  return new AuditError('INVALID_OPTION', message, { setting: '--destination', hint })
}

/** What can be done about the missing records of a copy. */
export function plan({ spool: directory }: ResendWish, maker: Maker, missing: MissingRanges): ResendPlan {
  const end = new PublishedEnd(diskFiles, directory)
  const spool = { directory, durable: () => end.read() }
  return planResend(diskFiles, spool, { ...maker, missing: missing.ranges })
}

/** Asks for it, and waits until it is done or the time is over. */
export async function resend(
  wish: ResendWish,
  about: { readonly copy: string; readonly destination: string },
  { send, ...rest }: ResendPlan & { readonly later: number },
): Promise<Resend> {
  const { waiting, gone, quarantined, later } = rest
  const lists = { waiting: listed(waiting), gone: listed(gone), quarantined: listed(quarantined), later }
  const report = { ...about, planned: listed(send), ...lists }
  if (send.length === 0) return { ...report, outcome: 'nothing' }
  if (wish.isDryRun) return { ...report, outcome: 'planned' }
  const place = resendPlace(wish.spool, about.destination, send)
  const { operator, why } = wish
  writeResend(diskFiles, place, { ranges: send, operator, why, asked: formatTimestamp(nowMs()) })
  const answer = await awaitAnswer(place, monotonicMs() + wish.waitMs)
  if (answer === undefined) return { ...report, outcome: 'asked' }
  const { sent, refused } = answer
  const allGone = listed([...gone, ...answer.gone])
  return { ...report, gone: allGone, outcome: 'answered', sent, refused: listed(refused) }
}

/** Whether everything that the copy lacks has come, comes, or is asked for. */
export function isComplete({ gone, quarantined, later, refused }: Resend): boolean {
  return gone.count + quarantined.count + later + (refused?.count ?? 0) === 0
}

/** The plan in words, before anything is done. */
export function describePlan(destination: string, { send, waiting, gone, quarantined }: ResendPlan): string {
  const lines = [
    ...describeRanges(send, `can be sent to destination ${destination} again`),
    ...describeRanges(waiting, 'not delivered yet: they come by themselves'),
    ...describeRanges(gone, 'not in the spool any more: they cannot be sent again'),
    ...describeRanges(quarantined, 'refused by the destination: otel-audit quarantine list'),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

/** What became of it, in words. */
export function describeResend({ destination, outcome, sent = 0, planned, refused, later }: Resend): string {
  const more = later === 0 ? '' : `; ${formatCount(later, 'record')} left out: run it again`
  const words = {
    nothing: 'nothing is sent again',
    planned: `${formatCount(planned.count, 'record')} would be sent again (--dry-run)`,
    asked: 'asked for: the process that delivers does it, now or when it next runs',
    answered: `${formatCount(sent, 'record')} sent again, and sealed as audit.destination.resent`,
  }
  const reasons = (refused?.first ?? []).slice(0, shown.text)
  const lines = reasons.map((range) => `  refused    ${formatRange(range)}: ${range.reason}\n`)
  return `${destination}: ${words[outcome]}${more}\n${lines.join('')}`
}

export function formatRange({ stream, from, to }: SequenceRange): string {
  return from === to ? `${from} of ${stream}` : `${from} to ${to} of ${stream}`
}

async function awaitAnswer(place: ResendPlace, untilMs: number): Promise<ResendAnswer | undefined> {
  for (;;) {
    const answer = readResendAnswer(diskFiles, place)
    if (answer !== undefined) {
      forgetAnswer(diskFiles, place)
      return answer
    }
    if (monotonicMs() >= untilMs) return undefined
    await sleep(pollMs) // until delivery has looked, which it does each second
  }
}

function listed<Range extends SequenceRange>(ranges: readonly Range[]): Listed<Range> {
  return { count: countOf(ranges), first: ranges.slice(0, shown.json) }
}

function countOf(ranges: readonly SequenceRange[]): number {
  return ranges.reduce((count, { from, to }) => count + to - from + 1, 0)
}

function describeRanges(ranges: readonly SequenceRange[], what: string): string[] {
  if (ranges.length === 0) return []
  const named = ranges.slice(0, shown.text).map((range) => `    ${formatRange(range)}`)
  const more = ranges.length > shown.text ? ['    …'] : []
  return [`  ${formatCount(countOf(ranges), 'record')} ${what}`, ...named, ...more]
}
