/**
 * Has the checkpoints of a trail cosigned, on a thread of its own: asks every witness after a checkpoint, not more often
 * than its interval, and again while one does not answer. Always holds: a witness that is down, slow or against us keeps
 * nobody waiting but this thread; what it has cosigned is kept in the spool directory before it is told.
 */

import { parseCheckpoint } from '../chain/checkpoint.ts'
import { parseWitnessKey } from '../chain/cosignature.ts'
import { Frontier } from '../chain/merkle.ts'
import { decodeBase64 } from '../chain/note.ts'
import { afterMs, monotonicMs } from '../clock.ts'
import { errorText } from '../errors.ts'
import { askWitness, type WitnessAddress, type WitnessReply } from './ask.ts'
import { countUpTo, type TreeSpool, treeAt } from './own-tree.ts'
import { Progress } from './progress.ts'
import { type Kept, openProgressFile, type ProgressFile } from './progress-file.ts'

/** A witness as it is configured. */
export interface WitnessOptions {
  readonly url: string
  readonly vkey: string
  readonly intervalSeconds: number
}

/** A signed checkpoint that is being sealed. */
export interface Offer {
  readonly note: string
  readonly frontier: readonly string[]
}

/** What a witness has said. */
export type WitnessWord =
  | ({ readonly kind: 'cosigned'; readonly at: number } & Kept)
  /** It has cosigned records of the stream that are not here, or others in their place. */
  | {
      readonly kind: 'ahead'
      readonly name: string
      readonly stream: string
      readonly size: number
      readonly reason: string
    }
  | { readonly kind: 'failed'; readonly name: string; readonly reason: string }

export interface ClientParts {
  readonly spool: TreeSpool
  readonly witnesses: readonly WitnessOptions[]
  readonly say: (word: WitnessWord) => void
}

const askMsMax = 10_000
/** How soon a witness that did not answer is asked again, at most. */
const retryMs = 15_000

/** A checkpoint that was opened. */
interface Current extends Offer {
  readonly origin: string
  readonly stream: string
  readonly size: number
  readonly root: Uint8Array
}

export class WitnessClient {
  readonly #parts: ClientParts
  readonly #addresses: readonly WitnessAddress[]
  readonly #file: ProgressFile
  readonly #intervalMs: number
  #progress: Progress | undefined
  #latest: Current | undefined
  /** Witnesses that lack the latest. */
  #lacking = new Set<string>()
  #dueAtMs = 0
  #cancel: () => void = () => {}
  #round: Promise<void> | undefined
  #isEnding = false

  constructor(parts: ClientParts) {
    this.#parts = parts
    this.#addresses = parts.witnesses.flatMap(({ url, vkey }) => {
      const witness = parseWitnessKey(vkey)
      return 'problem' in witness ? [] : [{ url, witness }]
    })
    this.#intervalMs = 1_000 * Math.min(...parts.witnesses.map(({ intervalSeconds }) => intervalSeconds))
    this.#file = openProgressFile(parts.spool)
    this.#progress = this.#file.progress
    // Of an earlier run that was closing when they came: nothing could be sealed any more.
    for (const kept of this.#file.takeUnsealed()) parts.say({ kind: 'cosigned', at: 0, ...kept })
  }

  /** The newest checkpoint; those before it need not be cosigned any more. */
  offer({ note, frontier }: Offer): void {
    const checkpoint = parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))
    if ('problem' in checkpoint) return // a writer that signs no checkpoints is seen by verification
    const { origin, size, root } = checkpoint
    this.#latest = { note, frontier, origin, size, root, stream: origin.slice(origin.lastIndexOf('/') + 1) }
    this.#lacking = new Set(this.#addresses.map(({ witness }) => nameOf(witness)))
    if (this.#round === undefined) this.#schedule(this.#dueAtMs)
  }

  /** Keeps a cosignature that could not be sealed for the next opening. */
  keep(kept: Kept): void {
    if (this.#progress !== undefined) this.#file.keep(this.#progress, kept)
  }

  /** Asks once more for what was not asked for yet; resolves when there is nothing under way. What is cosigned is only kept. */
  async end(): Promise<void> {
    this.#isEnding = true
    this.#cancel()
    await this.#round
    if (this.#lacking.size > 0) await this.#ask()
  }

  #schedule(atMs: number): void {
    this.#cancel()
    if (!this.#isEnding) this.#cancel = afterMs(Math.max(0, atMs - monotonicMs()), () => this.#begin())
  }

  #begin(): void {
    this.#round = this.#ask().then(() => {
      this.#round = undefined
      const waitMs = this.#lacking.size > 0 ? Math.min(retryMs, this.#intervalMs) : this.#intervalMs
      this.#dueAtMs = monotonicMs() + waitMs
      if (this.#lacking.size > 0) this.#schedule(this.#dueAtMs)
    })
  }

  /** One round; never rejects. */
  async #ask(): Promise<void> {
    const current = this.#latest
    if (current === undefined) return
    try {
      const progress = this.#follow(current)
      if (!progress.hasNews) {
        this.#lacking.clear()
        return
      }
      const meant = this.#addresses.filter(({ witness }) => this.#lacking.has(nameOf(witness)))
      await Promise.all(meant.map((address) => this.#askOne(address, { current, progress })))
      if (this.#lacking.size === 0) progress.settle()
      this.#file.keep(progress)
    } catch (thrown) {
      // The spool says itself what is wrong with it; here it only means that nothing can be proven for now.
      for (const name of this.#lacking) this.#parts.say({ kind: 'failed', name, reason: errorText(thrown) })
    }
  }

  /** The tree of the checkpoint, from what was known before where that leads to it. */
  #follow({ stream, size, root, frontier }: Current): Progress {
    const known =
      this.#progress?.stream === stream && this.#progress.size <= size ? this.#progress : new Progress(stream)
    const isWhole = countUpTo(this.#parts.spool, known, size) && known.root().equals(root)
    const tree = Frontier.from(
      size,
      frontier.map((hash) => decodeBase64(hash) ?? Buffer.alloc(0)),
    )
    this.#progress = isWhole ? known : new Progress(stream, tree)
    return this.#progress
  }

  async #askOne(address: WitnessAddress, about: { current: Current; progress: Progress }): Promise<void> {
    const { current, progress } = about
    const name = nameOf(address.witness)
    const ask = (): Promise<WitnessReply> => {
      const question = { ...progress.question(name), note: current.note }
      return askWitness(address, question, AbortSignal.timeout(askMsMax))
    }
    let reply = await ask()
    if (reply.kind === 'elsewhere' && this.#correct(name, reply.size, about)) reply = await ask()
    this.#take(name, reply, about)
  }

  /** Takes the witness's word on what it has cosigned, where this spool has the same beginning. */
  #correct(name: string, size: number, { current, progress }: { current: Current; progress: Progress }): boolean {
    const { origin, stream, size: to } = current
    if (size > to) return false
    if (size === 0) {
      progress.forget(name)
      return true
    }
    const known = treeAt(this.#parts.spool, { origin, stream, from: size, to })
    if (known !== undefined) progress.correct(name, known.base, known.beyond)
    return known !== undefined
  }

  #take(name: string, reply: WitnessReply, { current, progress }: { current: Current; progress: Progress }): void {
    const { stream, size, root } = current
    const { say } = this.#parts
    if (reply.kind === 'cosigned') {
      progress.reach(name)
      if (this.#latest === current) this.#lacking.delete(name)
      const kept = { name, stream, size, root: Buffer.from(root).toString('base64'), token: reply.line }
      this.#file.keep(progress, this.#isEnding ? kept : undefined)
      if (!this.#isEnding) say({ kind: 'cosigned', at: reply.time, ...kept })
    } else if (reply.kind === 'failed') say({ kind: 'failed', name, reason: reply.reason })
    else if (reply.kind === 'contradicts') say({ kind: 'ahead', name, stream, size, reason: reply.reason })
    else if (reply.size > size)
      say({ kind: 'ahead', name, stream, size: reply.size, reason: `it has ${reply.size} records` })
    else {
      const reason = `it has cosigned ${reply.size} records, and the spool no longer holds what leads from there to ${size}`
      say({ kind: 'failed', name, reason })
    }
  }
}

function nameOf({ name, keyId }: WitnessAddress['witness']): string {
  return `${name}+${keyId}`
}
