/**
 * How a trail stands, for `audit.state` and for whoever reads standard error. Each change of the spool's state is said
 * once, with the setting it concerns and what to do; said again when it happens again.
 */

import type { AdoptedSlot } from '../forward/adopt.ts'
import type { ForwarderState } from '../forward/standing.ts'
import { spoolFillingShare } from '../limits.ts'
import type { SequencerState } from '../postgres/sequencing.ts'
import { describeRot, type ScrubFinding } from '../spool/scrub.ts'
import type { SpoolState } from '../spool/state.ts'
import type { AnchorState } from './anchoring.ts'
import { announce } from './notice.ts'
import type { WitnessState } from './witnessing.ts'

/** How things stand, without waiting for anything. */
export interface AuditState {
  /**
   * `failing`: the disk refused a write or a sync, and what is not durable is being written anew; events are still
   * taken. `full` and `failed`: events go to standard error until there is room, or until the disk heals.
   */
  readonly spool: AuditSpoolState
  /** Events are recorded in the spool: not while it is full, failed or closed. */
  readonly ready: boolean
  /** Why not, one sentence each; empty when `ready`. */
  readonly reasons: readonly string[]
  /** Bytes of all segments of the spool. */
  readonly bytes: number
  /** What they may take: `spool.bytesMax`. */
  readonly bytesMax: number
  readonly stream: string
  /** Sequence of the last record sealed. */
  readonly sequence: number
  /** Sequence of the last record that survives power loss. */
  readonly durable: number
  /** Records that went to standard error instead of the spool. */
  readonly emergencies: number
  readonly destinations: readonly ForwarderState[]
  /** How the sequencer of the database stands; absent without `outbox.url`. */
  readonly outbox: SequencerState | undefined
  /** The witnesses that are asked to cosign checkpoints. */
  readonly witnesses: readonly WitnessState[]
  /** The places outside that checkpoints are put into. */
  readonly anchors: readonly AnchorState[]
  /** The slot that this process writes; absent with `instances: 'single'`. */
  readonly slot: string | undefined
  /** A slot whose process is gone and whose records are sent from here. */
  readonly adopted: AdoptedSlot | undefined
  readonly lastError: string | undefined
}

export const auditSpoolStates = ['ok', 'failing', 'full', 'failed', 'closed'] as const
export type AuditSpoolState = (typeof auditSpoolStates)[number]

/** What is known of the spool at one moment. */
export interface SpoolReading {
  readonly state: AuditSpoolState
  readonly directory: string
  /** Why it is not `ok`. */
  readonly reason: string
  readonly bytes: number
  readonly bytesMax: number
}

/** Why events are not recorded in the spool. */
export function reasonsAgainst({ state, directory, reason, bytes, bytesMax }: SpoolReading): string[] {
  if (state === 'closed') return ['audit is closed']
  if (state === 'failed') return [`spool ${directory} has failed: ${reason}`]
  if (state === 'full') return [`spool ${directory} is full: ${bytes} bytes of spool.bytesMax ${bytesMax}`]
  return []
}

/** What a reading says in `audit.state`. */
export function spoolStanding(
  reading: SpoolReading,
): Pick<AuditState, 'spool' | 'ready' | 'reasons' | 'bytes' | 'bytesMax'> {
  const { state, bytes, bytesMax } = reading
  const reasons = reasonsAgainst(reading)
  return { spool: state, ready: reasons.length === 0, reasons, bytes, bytesMax }
}

/** Below this part of `spool.bytesMax` the spool may say again that it is filling up. */
const emptyingShare = 0.6

/** Hears of the spool's state and says what is new. */
export class SpoolWatch {
  readonly #say: (text: string) => void
  #state: SpoolState = 'ok'
  #isFilling = false
  #rot: string | undefined

  constructor(say: (text: string) => void = announce) {
    this.#say = say
  }

  /** What the scrub found last, kept because rot does not heal. */
  get rot(): string | undefined {
    return this.#rot
  }

  hearRot(directory: string, finding: ScrubFinding): void {
    this.#rot = describeRot(directory, finding)
    this.#say(this.#rot)
  }

  /** Called with every word of the spool, and whenever it refuses a record. */
  look(reading: SpoolReading & { readonly state: SpoolState }): void {
    this.#lookAtLevel(reading)
    if (reading.state === this.#state) return
    this.#say(changeText(this.#state, reading))
    this.#state = reading.state
  }

  #lookAtLevel({ state, directory, bytes, bytesMax }: SpoolReading): void {
    if (bytes < emptyingShare * bytesMax) this.#isFilling = false
    if (this.#isFilling || bytes < spoolFillingShare * bytesMax) return
    this.#isFilling = true
    if (state === 'full') return // which says more
    const percent = Math.floor((100 * bytes) / bytesMax)
    this.#say(
      `spool ${directory} is filling: ${bytes} bytes, ${percent} % of spool.bytesMax; ` +
        'look at destinations that do not confirm, or raise spool.bytesMax',
    )
  }
}

function changeText(before: SpoolState, { state, directory, reason, bytes, bytesMax }: SpoolReading): string {
  const spool = `spool ${directory}`
  const why = reason === '' ? '' : ` (${reason})` // its words may come later than its state
  if (state === 'full') {
    return (
      `${spool} is full${why}: ${bytes} bytes of spool.bytesMax ${bytesMax}; what finds no room goes to standard error; ` +
      'mend the destinations that do not confirm, raise spool.bytesMax, or make room on its disk'
    )
  }
  if (state === 'failing') {
    return `${spool}: its disk refused a write or a sync${why}; what is not durable is being written anew; look at the disk`
  }
  if (state === 'failed') {
    return (
      `${spool} has failed${why}: events go to standard error until its disk heals; ` +
      'look at the disk, then run otel-audit spool check'
    )
  }
  return before === 'failing' ? `${spool}: its disk works again` : `${spool} takes records again`
}
