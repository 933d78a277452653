/** What an OTLP backend was sent, as records. */

import type { OtlpBackend } from './otlp-backend.ts'

interface LogsJson {
  readonly resourceLogs: readonly {
    readonly scopeLogs: readonly {
      readonly logRecords: readonly { readonly body: { readonly stringValue: string } }[]
    }[]
  }[]
}

/** The records in its requests (`http/json`), each in its sealed form, in order and as often as they came. */
export function recordsAt({ requests }: Pick<OtlpBackend, 'requests'>): string[] {
  return requests.flatMap(({ body }) => {
    const { resourceLogs } = JSON.parse(body.toString()) as LogsJson
    const records = resourceLogs.flatMap((one) => one.scopeLogs.flatMap((scope) => scope.logRecords))
    return records.map((record) => record.body.stringValue)
  })
}
