/**
 * The keys that are believed while one source is read: those that the caller trusts, and those that rotations found in
 * the source lead to or come from. Always holds: a key joins only by a statement that it and a believed key have signed;
 * records can name keys, never make them trusted. Without any trusted key nothing joins.
 */

import type { Verifier } from '../chain/note.ts'
import { openRotation } from '../chain/rotation.ts'

/** What a rotation did to the ring, or why it proves nothing. */
export type RotationOutcome =
  | { readonly refusal?: undefined; readonly old: Verifier; readonly hasGrown: boolean }
  | { readonly refusal: string }

interface SignedTree {
  readonly size: number
  readonly root: Uint8Array
}

export class KeyRing {
  #verifiers: readonly Verifier[]

  /** The keys that have signed checkpoints of each stream, and the roots that they have signed, by size. */
  readonly #signers = new Map<string, readonly Verifier[]>()
  readonly #roots = new Map<string, Map<number, string>>()

  readonly #isValidAt: (key: Verifier, recorded: string | undefined) => boolean

  /** `isValidAt`: whether a key counts for what was sealed at a time; always, unless given. */
  constructor(trusted: readonly Verifier[], isValidAt: KeyRing['isValidAt'] = () => true) {
    this.#verifiers = trusted
    this.#isValidAt = isValidAt
  }

  isValidAt(key: Verifier, recorded: string | undefined): boolean {
    return this.#isValidAt(key, recorded)
  }

  /** Notes which keys have signed a checkpoint of the stream, and its root: the first one of a size stays. */
  noteSigned(stream: string, { size, root }: SignedTree, keys: readonly Verifier[]): void {
    const known = this.#signers.get(stream) ?? []
    const fresh = keys.filter((key) => !known.some((one) => isSameKey(one, key)))
    if (fresh.length > 0) this.#signers.set(stream, [...known, ...fresh])
    const roots = this.#roots.get(stream) ?? new Map<number, string>()
    if (!roots.has(size)) this.#roots.set(stream, roots.set(size, Buffer.from(root).toString('hex')))
  }

  /** The root signed for a size of the stream, 64 hex digits. */
  rootAt(stream: string, size: number): string | undefined {
    return this.#roots.get(stream)?.get(size)
  }

  signersOf(stream: string): readonly Verifier[] {
    return this.#signers.get(stream) ?? []
  }

  get verifiers(): readonly Verifier[] {
    return this.#verifiers
  }

  /** Takes the details of an `audit.key.rotated` record. */
  take(details: unknown): RotationOutcome {
    const opened = openRotation(details)
    if (opened.problem !== undefined) return { refusal: opened.reason }
    const { old, next } = opened
    const [trustsOld, trustsNext] = [this.#trusts(old), this.#trusts(next)]
    if (!trustsOld && !trustsNext) return { refusal: `neither ${keyOf(old)} nor ${keyOf(next)} is trusted` }
    const joining = [...(trustsOld ? [] : [old]), ...(trustsNext ? [] : [next])]
    this.#verifiers = [...this.#verifiers, ...joining]
    return { old, hasGrown: joining.length > 0 }
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
