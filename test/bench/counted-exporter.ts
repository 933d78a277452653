/** An exporter that counts what the sink has confirmed, and fails loudly where the SDK would only log. */

import type { LogRecordExporter } from '@opentelemetry/sdk-logs'

const succeeded = 0

export interface CountedExporter extends LogRecordExporter {
  /** Resolves when so many records are confirmed; `undefined` when they are now. */
  whenExported(records: number): Promise<void> | undefined
}

export function countExports(exporter: LogRecordExporter): CountedExporter {
  let exported = 0
  let waiters: { readonly records: number; readonly resolve: () => void }[] = []
  return {
    export(records, done) {
      exporter.export(records, (result) => {
        if (result.code !== succeeded) throw result.error ?? new Error('the export failed')
        exported += records.length
        for (const waiter of waiters) if (waiter.records <= exported) waiter.resolve()
        waiters = waiters.filter((waiter) => waiter.records > exported)
        done(result)
      })
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
    whenExported(records) {
      if (records <= exported) return undefined
      return new Promise((resolve) => waiters.push({ records, resolve }))
    },
  }
}
