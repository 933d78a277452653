/**
 * The keys that are believed while one source is read: those that the caller trusts, and those that rotations found in
 * the source lead to or come from. Always holds: a key joins only by a statement that it and a believed key have signed;
 * records can name keys, never make them trusted. On first use alone, which the caller asks for and the report names, a
 * stream's first record brings its key, where none of that name is trusted.
 */

import { parseVerifierKey, type Verifier } from '../chain/note.ts'
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
  /** Names of keys that come from outside the source; undefined: no key is taken from the source. */
  readonly #trustedNames: ReadonlySet<string> | undefined
  /** As they stand in the source. */
  readonly #onFirstUse = new Map<Verifier, string>()

  /** `isValidAt`: whether a key counts for what was sealed at a time; always, unless given. */
  constructor(
    trusted: readonly Verifier[],
    { isValidAt = () => true, isFirstUse = false }: { isValidAt?: KeyRing['isValidAt']; isFirstUse?: boolean } = {},
  ) {
    this.#verifiers = trusted
    this.#isValidAt = isValidAt
    this.#trustedNames = isFirstUse ? new Set(trusted.map(({ name }) => name)) : undefined
  }

  /** Whether anything is asked of signatures. */
  get isAsked(): boolean {
    return this.#trustedNames !== undefined || this.#verifiers.length > 0
  }

  /** The verifier keys that were taken from the source. */
  get keysOnFirstUse(): readonly string[] {
    return [...this.#onFirstUse.values()]
  }

  /** The keys of a stream's signers that were taken from the source. */
  firstUsedBy(stream: string): readonly string[] {
    return this.signersOf(stream).flatMap((key) => this.#onFirstUse.get(key) ?? [])
  }

  /**
   * Takes the details of a stream's first record. What it names is believed on first use only, and of a stream that goes
   * on from another one only where no key of that name is believed yet: there a rotation would say so.
   */
  meet(details: unknown): void {
    const { deployment, verifier_key: named, predecessor } = (details ?? {}) as Readonly<Record<string, unknown>>
    const key = typeof named === 'string' ? parseVerifierKey(named) : undefined
    if (key === undefined || 'problem' in key || key.name !== deployment || typeof named !== 'string') return
    if (this.#trustedNames?.has(key.name) !== false || this.#trusts(key)) return
    if (predecessor !== undefined && this.#verifiers.some(({ name }) => name === key.name)) return
    this.#verifiers = [...this.#verifiers, key]
    this.#onFirstUse.set(key, named)
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
