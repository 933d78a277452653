/**
 * Events about `forward --postgres` itself, such as somebody without the token: they go through the outbox of the database
 * into its journal. What cannot be put there goes to standard error, whole. Waits for nobody, and holds a bounded number.
 */

import { withConnection } from '../postgres/client.ts'
import { emitForeign } from '../postgres/outbox.ts'
import type { TextStream } from './command.ts'

const waitingMax = 1_000

export class JournalEvents {
  readonly #url: string
  readonly #stderr: TextStream
  #waiting: object[] = []
  #writing: Promise<void> | undefined

  constructor(url: string, stderr: TextStream) {
    this.#url = url
    this.#stderr = stderr
  }

  /** Soon in the outbox; the sequencer redacts and seals it. */
  emit(event: object): void {
    if (this.#waiting.length >= waitingMax) this.#print(event)
    else this.#waiting.push(event)
    this.#begin()
  }

  /** What was emitted is in the outbox, or on standard error. */
  async close(): Promise<void> {
    await this.#writing
  }

  #begin(): void {
    if (this.#waiting.length === 0) return
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
      this.#begin() // what came while the connection was ending
    })
  }

  async #write(): Promise<void> {
    try {
      await withConnection({ url: this.#url }, async (connection) => {
        for (let event = this.#waiting[0]; event !== undefined; event = this.#waiting[0]) {
          await emitForeign(connection, event) // in their order
          this.#waiting.shift()
        }
      })
    } catch {
      for (const event of this.#waiting.splice(0)) this.#print(event) // the sequencer says what ails the database
    }
  }

  #print(event: object): void {
    this.#stderr.write(`otel-audit: this event could not be put into the outbox: ${JSON.stringify(event)}\n`)
  }
}
