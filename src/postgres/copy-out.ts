/**
 * `COPY … TO STDOUT` for a `pg` client: the whole output in one piece of memory, so whoever asks bounds it. Settles once,
 * with the driver's error or when the server has sent everything. Where one message ends and the next begins means nothing.
 */

import type { Submittable } from 'pg'

interface CopyConnection {
  query(text: string): void
}

/** Untouched memory costs nothing. */
const firstBytes = 2 ** 20

export class CopyOut implements Submittable {
  /** Resolves to everything that was sent. */
  readonly done: Promise<Buffer>
  /** The client puts its time limit in here. */
  callback: (error: Error | null) => void
  readonly #text: string
  #bytes = Buffer.allocUnsafeSlow(firstBytes)
  #length = 0

  constructor(text: string) {
    this.#text = text
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    this.done = promise
    this.callback = (error) => (error === null ? resolve(this.#bytes.subarray(0, this.#length)) : reject(error))
  }

  submit(connection: object): void {
    ;(connection as CopyConnection).query(this.#text)
  }

  /** The chunk is the driver's own memory, which it fills again. */
  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    const end = this.#length + chunk.length
    if (end > this.#bytes.length) this.#grow(end)
    this.#bytes.set(chunk, this.#length)
    this.#length = end
  }

  handleCommandComplete(): void {
    // The server says next that it is ready: only then another query may be sent.
  }

  handleReadyForQuery(): void {
    this.callback(null)
  }

  handleError(error: Error): void {
    this.callback(error)
  }

  #grow(bytes: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * this.#bytes.length))
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }
}
