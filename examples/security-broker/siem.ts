/** A SIEM that takes webhooks: checks each signature, and keeps a record once however often it is sent. */

import { readRecord, verifyWebhook } from 'otel-audit'
import { type HttpReceiver, startHttpReceiver } from '../../test/support/http-receiver.ts'
import { actions } from './actions.ts'

export const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

export class Siem {
  /** Records by their place in the trail, each as it came. */
  readonly held = new Map<string, string>()
  /** Records that had come before, and the same ones. */
  repeats = 0
  /** Batches without a valid signature, and records that came again as another one. */
  refused = 0
  /** Called when a batch is kept and before the answer; true: there will be no answer. */
  interrupt: (() => boolean) | undefined
  readonly #receiver: HttpReceiver

  static async start(): Promise<Siem> {
    return new Siem(await startHttpReceiver())
  }

  private constructor(receiver: HttpReceiver) {
    this.#receiver = receiver
    receiver.answer = (response, { raw, headers, body }) => {
      if (!verifyWebhook(raw, headers, { secrets: [secret] }).valid) {
        this.refused += 1
        return response.writeHead(401).end()
      }
      for (const line of body.toString().trimEnd().split('\n')) this.#keep(line)
      if (this.interrupt?.() === true) return response.destroy()
      return response.end()
    }
  }

  get url(): string {
    return this.#receiver.url
  }

  stop(): Promise<void> {
    return this.#receiver.stop()
  }

  #keep(line: string): void {
    const { stream = '', seq = 0 } = readRecord(actions, line).record
    const place = `${stream} ${String(seq).padStart(16, '0')}`
    const held = this.held.get(place)
    if (held === undefined) this.held.set(place, line)
    else if (held === line) this.repeats += 1
    else this.refused += 1
  }
}
