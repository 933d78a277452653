/**
 * Asks a model about observations. The prompt is redacted before it leaves the process, so that the provider sees no
 * more than the log does, and so that alike observations share one answer. Each question is one `ai.call`, however it
 * ends: answered from the cache (hit), by the provider (miss), or not at all (error).
 */

import { type CataloguedAudit, type ErrorClass, redactText } from 'otel-audit'
import { z } from 'zod'
import type { actions, DaemonEvent } from './actions.ts'
import { type Settings, severities } from './settings.ts'

const answerSchema = z.object({
  severity: z.enum(severities),
  explanation: z.string(),
  usage: z.object({ input_tokens: z.int(), output_tokens: z.int() }),
})

export type Answer = z.infer<typeof answerSchema>

interface Asked {
  readonly answer: Answer
  readonly responseBytes: number
}

/** The provider's answer to all but a status of 200. */
class ProviderError extends Error {
  readonly status: number

  constructor(status: number) {
    super(`the provider answered ${status}`)
    this.status = status
  }
}

export class Analysis {
  readonly #audit: CataloguedAudit<typeof actions>
  readonly #settings: () => Settings
  readonly #cache = new Map<string, Asked>()

  constructor(audit: CataloguedAudit<typeof actions>, settings: () => Settings) {
    this.#audit = audit
    this.#settings = settings
  }

  /** The answer; `undefined` when the provider gave none. The log has the call in every case. */
  async ask(cycleId: string, text: string): Promise<Answer | undefined> {
    const { model, provider_url } = this.#settings()
    const { text: prompt, counts } = redactText(text)
    const call: Omit<DaemonEvent<'ai.call'>['details'], 'result'> = {
      cycle_id: cycleId,
      provider: 'loopback',
      model,
      prompt_bytes: Buffer.byteLength(prompt),
      redactions: Object.entries(counts).map(([rule, count]) => ({ rule, count })),
    }
    const event = { action: 'ai.call', actor: { type: 'poll_cycle', id: cycleId }, correlation_id: cycleId } as const
    const started = performance.now()
    const elapsed = () => Math.round((performance.now() - started) * 1000) / 1000
    const key = `${model}\n${prompt}`
    const known = this.#cache.get(key)
    try {
      const { answer, responseBytes } = known ?? (await send(provider_url, model, prompt))
      this.#cache.set(key, { answer, responseBytes })
      const result = known === undefined ? 'miss' : 'hit'
      const used = { ...answer.usage, response_bytes: responseBytes }
      this.#audit.emit({
        ...event,
        outcome: 'success',
        details: { ...call, ...used, result },
        duration_ms: elapsed(),
      })
      return answer
    } catch (thrown) {
      const error = { class: classOf(thrown) }
      const details = { ...call, result: 'error' } as const
      this.#audit.emit({ ...event, outcome: 'failure', error, details, duration_ms: elapsed() })
      return undefined
    }
  }
}

async function send(url: string, model: string, prompt: string): Promise<Asked> {
  const body = JSON.stringify({ model, prompt })
  const response = await fetch(url, { method: 'POST', body, signal: AbortSignal.timeout(10_000) })
  const text = await response.text()
  if (!response.ok) throw new ProviderError(response.status)
  return { answer: answerSchema.parse(JSON.parse(text)), responseBytes: Buffer.byteLength(text) }
}

function classOf(thrown: unknown): ErrorClass {
  if (thrown instanceof ProviderError) return thrown.status === 429 ? 'rate_limit' : 'server_error'
  if (thrown instanceof DOMException && thrown.name === 'TimeoutError') return 'timeout'
  if (thrown instanceof z.ZodError || thrown instanceof SyntaxError) return 'validation'
  return 'network_error'
}
