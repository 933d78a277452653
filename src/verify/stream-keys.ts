/**
 * Which keys sign one stream: opens its checkpoints with the keys that are believed, follows its rotations, and keeps
 * what no key vouches for until the end, because a source need not keep the order of sealing and a rotation may come
 * late. Always holds: behind the rotation that replaced it, a key signs nothing any more.
 */

import type { Verifier } from '../chain/note.ts'
import { type Anchor, type AnchorRefusal, openAnchor } from './anchor.ts'
import { isSameKey, type KeyRing } from './key-ring.ts'
import type { Link } from './link.ts'

export class StreamKeys {
  readonly #ring: KeyRing
  readonly #refusalsMax: number
  readonly #refusals: AnchorRefusal[] = []
  readonly #replaced: { readonly key: Verifier; readonly from: number }[] = []
  /** The keys believed when the refusals were last taken. */
  #believed: readonly Verifier[]

  constructor(ring: KeyRing, refusalsMax: number) {
    this.#ring = ring
    this.#refusalsMax = refusalsMax
    this.#believed = ring.verifiers
  }

  /** Whether anything is asked of signatures. */
  get isAsked(): boolean {
    return this.#ring.verifiers.length > 0
  }

  get refusals(): readonly AnchorRefusal[] {
    return this.#refusals
  }

  /** What a checkpoint claims, if a key vouches for it. */
  open(link: Link, deployment: string | undefined): Anchor | undefined {
    const anchor = openAnchor(link, { verifiers: this.#ring.verifiers, deployment })
    if (anchor === undefined) return undefined
    if ('verdict' in anchor) return this.#refuse(anchor)
    const { signers } = anchor
    if (signers.length === 0) return anchor
    const valid = signers.filter((key) => this.#ring.isValidAt(key, link.recorded))
    if (valid.length === 0)
      return this.#refuse({
        link,
        verdict: 'BAD_SIGNATURE',
        detail: 'a checkpoint signed when its key was not trusted',
      })
    if (valid.some((key) => !this.#isReplaced(key, link.sequence))) {
      this.#ring.noteSigned(link.stream, valid)
      return anchor
    }
    return this.#refuse({ link, verdict: 'BAD_SIGNATURE', detail: 'a checkpoint signed by a key replaced before it' })
  }

  addRotation(link: Link): void {
    if (!this.isAsked) return
    const outcome = this.#ring.take(link.control?.details)
    if (outcome.refusal === undefined) this.#replaced.push({ key: outcome.old, from: link.sequence })
    else this.#refuse({ link, verdict: 'BAD_SIGNATURE', detail: `the rotation proves nothing: ${outcome.refusal}` })
  }

  /** What was refused and may stand now, because more keys are believed than when it was last taken: to be added again. */
  takeRefused(): Link[] {
    if (this.#ring.verifiers === this.#believed) return []
    this.#believed = this.#ring.verifiers
    return this.#refusals.splice(0).map(({ link }) => link)
  }

  #isReplaced(key: Verifier, sequence: number): boolean {
    return this.#replaced.some(({ key: old, from }) => from < sequence && isSameKey(old, key))
  }

  #refuse(refusal: AnchorRefusal): undefined {
    if (this.#refusals.length < this.#refusalsMax) this.#refusals.push(refusal)
  }
}
