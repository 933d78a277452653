/**
 * A signer outside of the process (a KMS, an HSM, an agent), asked on a thread of its own: the thread that syncs waits for
 * nothing but the disk. Always holds: a note leaves only when the configured verifier key opens it; of the checkpoints that
 * wait, only the newest is signed; a signer that fails is asked again, for as long as the trail is open.
 */

import type { MessagePort } from 'node:worker_threads'
import { openNote, parseVerifierKey, type Verifier } from '../chain/note.ts'
import { afterMs } from '../clock.ts'
import { loadModule } from '../destination/optional-module.ts'
import { errorText } from '../errors.ts'

/** A signer by module, as it is configured. */
export interface SignerOptions {
  /** A path, or a package that the working directory finds: it exports `createSigner`. */
  readonly module: string
  /** Its public half, under the deployment's name. */
  readonly verifierKey: string
  /** For `createSigner`. */
  readonly options?: Readonly<Record<string, unknown>> | undefined
}

/** What `createSigner(options)` of the module returns, or a promise of it. */
export interface ExternalSigner {
  /** The 64 bytes of the Ed25519 signature over the text, as it stands. May be asked again for the same text. */
  sign(text: Uint8Array): Promise<Uint8Array> | Uint8Array
}

/** A checkpoint on its way. */
export interface Unsigned {
  /** The note; from the sync thread with a signature that is none. */
  readonly note: string
  readonly frontier: readonly string[]
  readonly size: number
  /** The stream that it is of. */
  readonly stream: string
}

export type SigningOrder = { readonly kind: 'sign'; readonly checkpoint: Unsigned } | { readonly kind: 'end' }
export type SigningWord =
  | { readonly kind: 'signed'; readonly checkpoint: Unsigned }
  | { readonly kind: 'failed'; readonly reason: string }

const retryMs = 1_000
const signMsMax = 10_000

/** Runs until it is told to end, and has signed or failed to sign what waits. */
export function runSigning(start: SignerOptions, port: Pick<MessagePort, 'on' | 'postMessage' | 'close'>): void {
  const signing = new Signing(start, (word: SigningWord) => port.postMessage(word))
  port.on('message', (order: SigningOrder) => {
    if (order.kind === 'sign') signing.offer(order.checkpoint)
    else void signing.end().then(() => port.close())
  })
}

class Signing {
  readonly #start: SignerOptions
  readonly #say: (word: SigningWord) => void
  #signer: Promise<ExternalSigner> | undefined
  #waiting: Unsigned | undefined
  #work: Promise<void> | undefined
  #isEnding = false
  #cancel: () => void = () => {}

  constructor(start: SignerOptions, say: (word: SigningWord) => void) {
    this.#start = start
    this.#say = say
  }

  offer(checkpoint: Unsigned): void {
    this.#waiting = checkpoint
    this.#resume()
  }

  async end(): Promise<void> {
    this.#isEnding = true
    this.#cancel()
    await this.#work
    if (this.#waiting !== undefined) await this.#signWaiting()
  }

  #resume(): void {
    this.#work ??= this.#signWaiting()
  }

  /** Never rejects. */
  async #signWaiting(): Promise<void> {
    for (let next = this.#waiting; next !== undefined; next = this.#waiting) {
      this.#waiting = undefined
      try {
        this.#say({ kind: 'signed', checkpoint: await this.#sign(next) }) // one after the other: sizes only grow
      } catch (thrown) {
        this.#say({ kind: 'failed', reason: errorText(thrown) })
        this.#waiting ??= next
        if (!this.#isEnding) this.#cancel = afterMs(retryMs, () => this.#resume())
        break
      }
    }
    this.#work = undefined
  }

  async #sign(checkpoint: Unsigned): Promise<Unsigned> {
    const verifier = parseVerifierKey(this.#start.verifierKey)
    if ('problem' in verifier) throw new Error(verifier.reason)
    this.#signer ??= createSigner(this.#start)
    const signer = await this.#signer.catch((thrown: unknown) => {
      this.#signer = undefined
      throw thrown
    })
    const text = checkpoint.note.slice(0, checkpoint.note.indexOf('\n\n') + 1)
    const signature = await inTime(Promise.resolve(signer.sign(Buffer.from(text))))
    return { ...checkpoint, note: noteOf(text, signature, verifier) }
  }
}

function noteOf(text: string, signature: unknown, verifier: Verifier): string {
  const { name, keyId } = verifier
  if (!(signature instanceof Uint8Array)) throw new Error('sign() gave no bytes')
  const line = Buffer.concat([Buffer.from(keyId, 'hex'), signature]).toString('base64')
  const note = `${text}\n— ${name} ${line}\n`
  if (openNote(note, [verifier]).problem === undefined) return note
  throw new Error(`what sign() gave is no signature by ${name}+${keyId}: keys.signer.verifierKey is of another key`)
}

async function createSigner({ module, options }: SignerOptions): Promise<ExternalSigner> {
  const { createSigner: create } = await loadModule(module)
  if (typeof create !== 'function') throw new Error(`${module} exports no function createSigner`)
  const signer = (await create(options ?? {})) as Partial<ExternalSigner> | undefined
  if (typeof signer?.sign !== 'function') throw new Error(`createSigner of ${module} returned nothing with sign()`)
  return signer as ExternalSigner
}

async function inTime<Result>(work: Promise<Result>): Promise<Result> {
  let cancel: () => void = () => {}
  const late = new Promise<never>((_, reject) => {
    cancel = afterMs(signMsMax, () => reject(new Error(`sign() has not answered within ${signMsMax / 1_000} s`)))
  })
  try {
    return await Promise.race([work, late])
  } finally {
    cancel()
  }
}
