/**
 * Which keys sign one stream: opens its checkpoints with the keys that are believed, follows its rotations, and keeps
 * what no key vouches for until the end, because a source need not keep the order of sealing and a rotation may come
 * late. Always holds: behind the rotation that replaced it, a key signs nothing any more, no other rotation either; and what
 * signs there was given by the caller, or a rotation of this stream leads to it.
 */

import type { Verifier } from '../chain/note.ts'
import { type Anchor, type AnchorRefusal, openAnchor } from './anchor.ts'
import { isSameKey, type KeyRing } from './key-ring.ts'
import type { Link } from './link.ts'

export class StreamKeys {
  readonly #ring: KeyRing
  readonly #refusalsMax: number
  readonly #refusals: AnchorRefusal[] = []
  readonly #rotations: Rotated[] = []
  /** The last checkpoint that was believed of each set of keys. */
  readonly #signed = new Map<string, { readonly link: Link; readonly signers: readonly Verifier[] }>()
  /** The keys believed when the refusals were last taken. */
  #believed: readonly Verifier[]

  constructor(ring: KeyRing, refusalsMax: number) {
    this.#ring = ring
    this.#refusalsMax = refusalsMax
    this.#believed = ring.verifiers
  }

  /** Whether anything is asked of signatures. */
  get isAsked(): boolean {
    return this.#ring.isAsked
  }

  /** At the end: what no key vouches for, and what was believed until a rotation came late that stands before it. */
  get refusals(): readonly AnchorRefusal[] {
    const rotations = this.#rotations.filter(({ old, next, link }) => this.#isReplaced(old, link.sequence, next))
    const signed = [...this.#signed.values()].filter((one) => !this.#mayHaveSigned(one))
    return [
      ...this.#refusals,
      ...rotations.map(({ link }) => refusal(link, 'the rotation proves nothing: its old key was replaced before it')),
      ...signed.map(({ link }) =>
        refusal(link, 'a checkpoint signed by a key that was replaced, or brought by no rotation here'),
      ),
    ]
  }

  /** What a checkpoint claims, if a key vouches for it. */
  open(link: Link, deployment: string | undefined): Anchor | undefined {
    const anchor = openAnchor(link, { verifiers: this.#ring.verifiers, isAsked: this.isAsked, deployment })
    if (anchor === undefined) return undefined
    if ('verdict' in anchor) return this.#refuse(anchor)
    const { signers } = anchor
    if (signers.length === 0) return anchor
    const valid = signers.filter((key) => this.#ring.isValidAt(key, link.recorded))
    if (valid.length === 0) return this.#refuse(refusal(link, 'a checkpoint signed when its key was not trusted'))
    if (valid.every((key) => this.#isReplaced(key, link.sequence)))
      return this.#refuse(refusal(link, 'a checkpoint signed by a key replaced before it'))
    this.#ring.noteSigned(link.stream, valid)
    this.#noteSigned(link, valid)
    return anchor
  }

  addRotation(link: Link): void {
    if (!this.isAsked) return
    const { sequence, recorded } = link
    const outcome = this.#ring.take(link.control?.details, (old) => {
      return !this.#isReplaced(old, sequence) && this.#ring.isValidAt(old, recorded)
    })
    if (outcome.refusal === undefined) this.#rotations.push({ old: outcome.old, next: outcome.next, link })
    else this.#refuse(refusal(link, `the rotation proves nothing: ${outcome.refusal}`))
  }

  /** What was refused and may stand now, because more keys are believed than when it was last taken: to be added again. */
  takeRefused(): Link[] {
    if (this.#ring.verifiers === this.#believed) return []
    this.#believed = this.#ring.verifiers
    return this.#refusals.splice(0).map(({ link }) => link)
  }

  /** Whether a rotation before this record has replaced the key; by another one than `by`, when that is given. */
  #isReplaced(key: Verifier, sequence: number, by?: Verifier): boolean {
    return this.#before(sequence).some(({ old, next }) => isSameKey(old, key) && !(by && isSameKey(next, by)))
  }

  #mayHaveSigned({ link: { sequence }, signers }: { link: Link; signers: readonly Verifier[] }): boolean {
    const before = this.#before(sequence)
    const isLedTo = (key: Verifier) => before.length === 0 || before.some(({ next }) => isSameKey(next, key))
    return signers.some((key) => !this.#isReplaced(key, sequence) && (!this.#ring.isJoined(key) || isLedTo(key)))
  }

  #before(sequence: number): readonly Rotated[] {
    return this.#rotations.filter(({ link }) => link.sequence < sequence)
  }

  #noteSigned(link: Link, signers: readonly Verifier[]): void {
    const ids = signers.map(({ keyId }) => keyId).join()
    if (link.sequence > (this.#signed.get(ids)?.link.sequence ?? 0)) this.#signed.set(ids, { link, signers })
  }

  #refuse(refused: AnchorRefusal): undefined {
    if (this.#refusals.length < this.#refusalsMax) this.#refusals.push(refused)
  }
}

interface Rotated {
  readonly old: Verifier
  readonly next: Verifier
  readonly link: Link
}

function refusal(link: Link, detail: string): AnchorRefusal {
  return { link, verdict: 'BAD_SIGNATURE', detail }
}
