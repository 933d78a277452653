/**
 * `COPY … FROM STDIN` for a `pg` client: the whole input at once, because a batch is in memory anyway (which is all that
 * a streaming library would add). Settles once, with the driver's error or when the server has said that it is done.
 */

import type { Submittable } from 'pg'

/** What `pg` hands a query of its connection. */
interface CopyConnection {
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}

export class CopyIn implements Submittable {
  /** Resolves when the server has taken every row; not yet committed. */
  readonly done: Promise<void>
  /** The client puts its time limit in here. */
  callback: (error: Error | null) => void
  readonly #text: string
  readonly #input: Buffer

  readonly #onSent: () => void

  /** `onSent` is called when the whole input is on its way: from then on the server works and we wait. */
  constructor(text: string, input: Buffer, onSent: () => void = () => {}) {
    this.#text = text
    this.#input = input
    this.#onSent = onSent
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.done = promise
    this.callback = (error) => (error === null ? resolve() : reject(error))
  }

  submit(connection: object): void {
    ;(connection as CopyConnection).query(this.#text)
  }

  handleCopyInResponse(connection: CopyConnection): void {
    connection.sendCopyFromChunk(this.#input)
    connection.endCopyFrom()
    this.#onSent()
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
}
