/**
 * Checkpoints on their way: each is sealed as a record and, where witnesses are configured, offered to them by a thread of
 * its own. What a witness cosigns is sealed as `audit.anchored`, so that every copy carries it. A witness that is down is
 * said and shown and keeps nobody waiting; one that has cosigned more than there is here, or something else, makes the trail
 * go on in a new stream. Where places for anchors are configured, checkpoints go there too.
 */

import { witnessNameOf } from '../chain/cosignature.ts'
import type { JsonObject } from '../event/canonical.ts'
import type { ControlFact } from '../event/record.ts'
import type { SigningWord, Unsigned } from '../forward/signing-thread.ts'
import { checkpointLagMax } from '../limits.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import type { Offer, WitnessWord } from '../witness/client.ts'
import { Anchoring, type AnchorState } from './anchoring.ts'
import type { AuditConfig } from './config.ts'
import type { EndingDelivery } from './ending.ts'
import { announce } from './notice.ts'
import { SignerThread, WitnessThread } from './threads.ts'

/** How one witness stands, in `audit.state`. */
export interface WitnessState {
  /** Name and key id. */
  readonly name: string
  readonly url: string
  readonly condition: 'untried' | 'ok' | 'failing'
  /** The stream that it has cosigned last, and how many records of it; since this process runs. */
  readonly stream: string | undefined
  readonly size: number
  /** When that was, in seconds since the epoch. */
  readonly cosignedAt: number | undefined
  /** Since the start. */
  readonly failures: number
  readonly lastError: string | undefined
}

/** What is asked of the sealer. */
export interface WitnessedSealer {
  readonly head: RecordNumber
  /** The stream is ending: nothing more may follow in it. */
  readonly isClosed: boolean
  /** Goes over to a stream that is ready. */
  proceed(): void
  sealFact(fact: ControlFact): boolean
  startStream(reason: 'ahead', ahead?: JsonObject): void
}

export interface WitnessingParts {
  readonly sealer: WitnessedSealer
  readonly config: Pick<AuditConfig, 'anchors' | 'signer' | 'witnesses'>
  readonly worker: URL
  readonly spool: { readonly directory: string; readonly memory: SharedArrayBuffer }
  readonly say?: (text: string) => void
}

export class Witnessing {
  readonly #sealer: WitnessedSealer
  readonly #say: (text: string) => void
  /** Where checkpoints are signed, when not by the thread that makes them. */
  readonly #signer: SignerThread | undefined
  #isSignerFailing = false
  readonly #thread: WitnessThread | undefined
  readonly #anchoring: Anchoring
  readonly #states: Map<string, WitnessState>
  /** Witnesses for which a new stream has begun: one that always says so must not end every stream. */
  readonly #answered = new Set<string>()

  constructor({ sealer, config, worker, spool, say = announce }: WitnessingParts) {
    const {
      signer,
      witnesses,
      anchors: { intervalMinutes, ...places },
    } = config
    this.#sealer = sealer
    this.#say = say
    this.#states = new Map(
      witnesses.map(({ url, vkey }) => [witnessNameOf(vkey), { ...untried, name: witnessNameOf(vkey), url }]),
    )
    if (signer !== undefined)
      this.#signer = new SignerThread(worker, { role: 'sign', start: signer }, (word) => this.#hearSigner(word))
    this.#anchoring = new Anchoring({ worker, places, intervalMinutes, sealer, say })
    if (witnesses.length === 0) return
    const role = { role: 'witness', start: { ...spool, witnesses } } as const
    this.#thread = new WitnessThread(worker, role, (word) => this.#hear(word))
  }

  get states(): readonly WitnessState[] {
    return [...this.#states.values()]
  }

  get anchors(): readonly AnchorState[] {
    return this.#anchoring.states
  }

  /** Seals a checkpoint, once it is signed. */
  take({ note, frontier }: Offer, size: number): void {
    const { stream } = this.#sealer.head
    if (this.#signer === undefined) this.#sealCheckpoint({ note, frontier, size, stream })
    else this.#signer.sign({ note, frontier, size, stream })
  }

  #hearSigner(word: SigningWord): void {
    const isFailing = word.kind === 'failed'
    if (isFailing && !this.#isSignerFailing) this.#say(`checkpoints are not signed: ${word.reason}; it is tried again`)
    if (!isFailing && this.#isSignerFailing) this.#say('checkpoints are signed again')
    this.#isSignerFailing = isFailing
    if (word.kind !== 'signed') return
    // Behind the closing record only a checkpoint that covers it is worth a record: the newest is on its way.
    const isLate = this.#sealer.isClosed && word.checkpoint.size < this.#sealer.head.sequence
    if (!isLate) this.#sealCheckpoint(word.checkpoint)
  }

  /**
   * A checkpoint that came too late covers too little: it is dropped, the sync thread makes another. So is one whose
   * stream has ended: a stream that is ready begins first, because sealing would begin it, and seal the checkpoint there.
   */
  #sealCheckpoint({ note, frontier, size, stream }: Unsigned): void {
    this.#sealer.proceed()
    if (this.#sealer.head.stream !== stream) return
    if (this.#sealer.head.sequence + 1 - size > checkpointLagMax) return
    this.#sealer.sealFact({ type: 'audit.checkpoint', details: { note, frontier: [...frontier] } })
    this.#thread?.offer({ note, frontier })
    this.#anchoring.take(note)
  }

  /**
   * Delivery whose last flush also waits until every witness was asked for the last checkpoint, at most `timeoutMs`. What
   * they say then is sealed by the next opening.
   */
  endBeside(delivery: EndingDelivery, timeoutMs: number): EndingDelivery {
    const end = async (): Promise<void> => {
      this.#anchoring.stop()
      await this.#signer?.end(timeoutMs) // first: a witness is asked for what is signed
      await this.#thread?.end(timeoutMs)
    }
    return {
      flush: async () => void (await Promise.all([delivery.flush(), end()])),
      stop: () => delivery.stop(),
      abandon: () => delivery.abandon(),
    }
  }

  #hear(word: WitnessWord): void {
    const before = this.#states.get(word.name)
    if (before === undefined) return
    if (word.kind === 'cosigned') this.#seal(word, before)
    else {
      const reason = word.kind === 'failed' ? word.reason : `it contradicts this trail: ${word.reason}`
      const failures = before.failures + 1
      this.#states.set(word.name, { ...before, condition: 'failing', failures, lastError: reason })
      if (before.condition !== 'failing') this.#say(`witness ${word.name} does not cosign: ${reason}`)
      if (word.kind === 'ahead') this.#leave(word)
    }
  }

  #seal(word: Extract<WitnessWord, { kind: 'cosigned' }>, before: WitnessState): void {
    const { name, stream, size, root, token, at } = word
    const cosignedAt = Math.max(at, before.cosignedAt ?? 0)
    if (before.condition === 'failing') this.#say(`witness ${name} cosigns again`)
    this.#states.set(name, { ...before, condition: 'ok', stream, size, cosignedAt, lastError: undefined })
    const kept = { name, stream, size, root, token }
    const fact: ControlFact = { type: 'audit.anchored', details: { kind: 'witness', ...kept } }
    if (this.#sealer.isClosed || !this.#sealer.sealFact(fact)) this.#thread?.keep(kept)
  }

  #leave({ name, stream, size }: Extract<WitnessWord, { kind: 'ahead' }>): void {
    if (stream !== this.#sealer.head.stream || this.#answered.has(name)) return
    this.#answered.add(name)
    this.#say(
      `witness ${name} has cosigned ${size} records of stream ${stream} that are not those here: the spool was restored ` +
        'from an older copy, or a copy of it runs elsewhere. A new stream begins (docs/operations.md)',
    )
    this.#sealer.startStream('ahead', { witness: name, seq: size })
  }
}

/** Before the first answer. */
const untried = {
  condition: 'untried',
  stream: undefined,
  size: 0,
  cosignedAt: undefined,
  failures: 0,
  lastError: undefined,
} as const
