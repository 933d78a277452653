/**
 * Calls of language models: two records of one correlation id, what was asked for and what came back, by sizes, tokens
 * and time. Never a text: neither prompt nor answer is given to the trail.
 */

import { monotonicMs } from '../clock.ts'
import { classifyError } from '../event/error-class.ts'
import type { Emits } from './emits.ts'

export interface ModelCall<Answer> {
  /** Names of the two events: `copilot.sdk.review_request`, `copilot.sdk.response_received`. */
  readonly actions: { readonly request: string; readonly response: string }
  readonly provider: string
  readonly model: string
  /** Its size is recorded. */
  readonly prompt: string
  /** What is to be said of the answer. */
  readonly measure: (answer: Answer) => ModelMeasure
}

export interface ModelMeasure {
  readonly text: string
  readonly tokens?: { readonly input?: number | undefined; readonly output?: number | undefined } | undefined
}

/** Runs `fn` between its two records. What it throws is thrown again. */
export async function auditModelCall<Answer>(
  audit: Emits,
  call: ModelCall<Answer>,
  fn: () => Promise<Answer>,
): Promise<Answer> {
  const { actions, provider, model, prompt, measure } = call
  const target = { resource_type: 'model', id: model }
  const asked = { provider, model, prompt_bytes: Buffer.byteLength(prompt) }
  const { correlationId: correlation_id } = audit
  const own = { operation: 'execute', target, correlation_id } as const
  audit.emit({ ...own, action: actions.request, outcome: 'unknown', details: asked })
  const from = monotonicMs()
  const answer = { ...own, action: actions.response }
  const sizesOf = (given: Answer): object => {
    try {
      const { text, tokens } = measure(given)
      return { response_bytes: Buffer.byteLength(text), tokens }
    } catch {
      return { unmeasured: true } // what cannot be measured was answered all the same
    }
  }
  const took = () => Math.round((monotonicMs() - from) * 1_000) / 1_000
  try {
    const given = await fn()
    audit.emit({ ...answer, outcome: 'success', duration_ms: took(), details: { provider, model, ...sizesOf(given) } })
    return given
  } catch (thrown) {
    const details = { provider, model }
    audit.emit({ ...answer, outcome: 'failure', duration_ms: took(), error: { class: classifyError(thrown) }, details })
    throw thrown
  }
}
