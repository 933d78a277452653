/** Modules as users write them for the `exporter` destination; what they were given shows in `exported`. */

import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs'

export const exported: ReadableLogRecord[] = []

export interface FakeOptions {
  /** What each export reports, in turn; then success. Absent: no answer. */
  readonly results?: readonly Outcome[]
  /** Reports a failure whose error has this code, for each export that holds this word. */
  readonly refuses?: { readonly word: string; readonly code: number }
}

type Outcome = 'success' | 'failure' | 'throws' | 'silence'

class FakeExporter implements LogRecordExporter {
  readonly #results: Outcome[]
  readonly #refuses: FakeOptions['refuses']

  constructor({ results = [], refuses }: FakeOptions = {}) {
    this.#results = [...results]
    this.#refuses = refuses
  }

  export(records: ReadableLogRecord[], report: (result: { code: number; error?: Error }) => void): void {
    const { word, code } = this.#refuses ?? {}
    if (word !== undefined && records.some(({ body }) => String(body).includes(word))) {
      report({ code: 1, error: Object.assign(new Error('refused'), { code }) })
      return
    }
    const result = this.#results.shift() ?? 'success'
    if (result === 'throws') throw new Error('thrown at once')
    if (result === 'silence') return
    if (result === 'success') exported.push(...records)
    report(result === 'success' ? { code: 0 } : { code: 1, error: new Error('the back end said no') })
  }

  async forceFlush(): Promise<void> {}

  async shutdown(): Promise<void> {}
}

export { FakeExporter }

/** The default of the options: a function. */
export async function createExporter(options: FakeOptions): Promise<LogRecordExporter> {
  return new FakeExporter(options)
}

export const instance = new FakeExporter()

export const wrong = () => ({ send() {} })
