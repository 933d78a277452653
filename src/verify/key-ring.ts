/**
 * The keys that are believed while one source is read: those that the caller trusts, and those that rotations found in
 * the source lead to or come from. Always holds: a key joins only by a statement that it and a believed key have signed;
 * records can name keys, never make them trusted. Without any trusted key nothing joins.
 */

import type { Verifier } from '../chain/note.ts'
import { openRotation } from '../chain/rotation.ts'

/** What a rotation did to the ring, or why it proves nothing. */
export type RotationOutcome =
  | { readonly refusal?: undefined; readonly old: Verifier; readonly next: Verifier; readonly hasGrown: boolean }
  | { readonly refusal: string }

export class KeyRing {
  #verifiers: readonly Verifier[]

  /** Of them those that a rotation has brought. */
  readonly #joined = new Set<Verifier>()

  /** The keys that have signed checkpoints of each stream. */
  readonly #signers = new Map<string, readonly Verifier[]>()

  readonly #isValidAt: (key: Verifier, recorded: string | undefined) => boolean

  /** `isValidAt`: whether a key counts for what was sealed at a time; always, unless given. */
  constructor(trusted: readonly Verifier[], isValidAt: KeyRing['isValidAt'] = () => true) {
    this.#verifiers = trusted
    this.#isValidAt = isValidAt
  }

  isValidAt(key: Verifier, recorded: string | undefined): boolean {
    return this.#isValidAt(key, recorded)
  }

  /** Whether a key is believed because of a rotation alone. */
  isJoined(key: Verifier): boolean {
    return this.#joined.has(key)
  }

  /** Notes which keys have signed a checkpoint of the stream. */
  noteSigned(stream: string, keys: readonly Verifier[]): void {
    const known = this.#signers.get(stream) ?? []
    const fresh = keys.filter((key) => !known.some((one) => isSameKey(one, key)))
    if (fresh.length > 0) this.#signers.set(stream, [...known, ...fresh])
  }

  signersOf(stream: string): readonly Verifier[] {
    return this.#signers.get(stream) ?? []
  }

  get verifiers(): readonly Verifier[] {
    return this.#verifiers
  }

  /** Takes the details of an `audit.key.rotated` record. `mayVouch`: whether the old key still counts where that stands. */
  take(details: unknown, mayVouch: (old: Verifier) => boolean = () => true): RotationOutcome {
    const opened = openRotation(details)
    if (opened.problem !== undefined) return { refusal: opened.reason }
    const { old, next } = opened
    const [trustsOld, trustsNext] = [this.#trusts(old), this.#trusts(next)]
    if (!trustsOld && !trustsNext) return { refusal: `neither ${keyOf(old)} nor ${keyOf(next)} is trusted` }
    if (!trustsNext && !mayVouch(old)) return { refusal: `${keyOf(old)} was replaced before it, or not trusted then` }
    const joining = [...(trustsOld ? [] : [old]), ...(trustsNext ? [] : [next])]
    this.#verifiers = [...this.#verifiers, ...joining]
    for (const key of joining) this.#joined.add(key)
    return { old, next, hasGrown: joining.length > 0 }
  }

  #trusts(key: Verifier): boolean {
    return this.#verifiers.some((one) => isSameKey(one, key))
  }
}

/** The same name, key id and public key: an id alone is four bytes, which can be searched for. */
export function isSameKey(one: Verifier, other: Verifier): boolean {
  return one.name === other.name && one.keyId === other.keyId && one.publicKey.equals(other.publicKey)
}

function keyOf({ name, keyId }: Verifier): string {
  return `${name}+${keyId}`
}
