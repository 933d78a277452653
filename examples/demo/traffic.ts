/**
 * The client side: many visits at once, each in a trace of its own, until the wanted number of requests is answered.
 * A request that breaks off is sent again; only an answer counts, and only its receipt says what became of the event.
 */

import type { Receipt } from 'otel-audit'
import { inNewTrace, traceHeaders } from './tracing.ts'
import { type Step, steps, userOf } from './visit.ts'

const visitsAtOnce = 16
const attemptsMax = 5

/** What the client has in its hands when all is sent. */
export interface Acknowledged {
  /** Answers, which is events whose receipt arrived. */
  readonly emitted: number
  /** Ids of the records that receipts call written. */
  readonly written: ReadonlySet<string>
  /** Events that policy did not want. */
  readonly suppressed: number
  /** Requests that broke off; they were sent again. */
  readonly brokenOff: number
  /** Traces of the visits, and of those among them that lost an answer. */
  readonly traces: readonly string[]
  readonly interruptedTraces: readonly string[]
}

export interface TrafficOptions {
  readonly requests: number
  /** Where the service is; waits while it starts. */
  readonly serviceUrl: () => Promise<string>
  /** Called after each answer with their count. */
  readonly onAnswer: (answers: number) => void
}

interface Answer {
  readonly receipt: Receipt
  readonly token?: string
  readonly invoice?: string
}

/** Sends the requests. Rejects when the service stays away or says that a record found no place in its spool. */
export async function sendTraffic(options: TrafficOptions): Promise<Acknowledged> {
  const traffic = new Traffic(options)
  await Promise.all(Array.from({ length: visitsAtOnce }, () => traffic.sendVisits()))
  return traffic
}

class Traffic implements Acknowledged {
  emitted = 0
  suppressed = 0
  brokenOff = 0
  readonly written = new Set<string>()
  readonly traces: string[] = []
  readonly interruptedTraces: string[] = []
  readonly #options: TrafficOptions
  #visits = 0

  constructor(options: TrafficOptions) {
    this.#options = options
  }

  /** One visit after the other, until enough have begun. */
  async sendVisits(): Promise<void> {
    while (this.#visits * steps.length < this.#options.requests) {
      const index = this.#visits
      this.#visits += 1
      await inNewTrace('visit', (traceId) => this.#sendVisit(index, traceId))
    }
  }

  /** The steps in order: a person does one thing after the other. */
  async #sendVisit(index: number, traceId: string): Promise<void> {
    const wanted = Math.min(steps.length, this.#options.requests - index * steps.length)
    let attempts = 0
    let visitor = { index, user: userOf(index), invoice: 'i-0' }
    let token = ''
    for (const step of steps.slice(0, wanted)) {
      const answer = await this.#sendUntilAnswered(step(visitor), token)
      attempts += answer.attempts
      token = answer.token ?? token
      visitor = { ...visitor, invoice: answer.invoice ?? visitor.invoice }
      this.#take(answer.receipt)
    }
    this.traces.push(traceId)
    if (attempts > wanted) this.interruptedTraces.push(traceId)
  }

  async #sendUntilAnswered(step: Step, token: string): Promise<Answer & { attempts: number }> {
    for (let attempt = 1; ; attempt += 1) {
      const url = await this.#options.serviceUrl()
      try {
        return { ...(await send(url, step, token)), attempts: attempt }
      } catch (cause) {
        if (attempt === attemptsMax) throw new Error('the service does not answer; see service.log', { cause })
        this.brokenOff += 1
      }
    }
  }

  #take(receipt: Receipt): void {
    if (receipt.status === 'emergency') throw new Error(`the spool could not take a record: ${receipt.reason}`)
    this.emitted += 1
    if (receipt.status === 'written') this.written.add(receipt.id)
    else this.suppressed += 1
    this.#options.onAnswer(this.emitted)
  }
}

async function send(url: string, { method, path, form }: Step, token: string): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...traceHeaders(), authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: form === undefined ? null : JSON.stringify(form),
    signal: AbortSignal.timeout(10_000),
  })
  return (await response.json()) as Answer
}
