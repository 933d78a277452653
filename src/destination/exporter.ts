/**
 * Delivery to any `LogRecordExporter` of OpenTelemetry, which a module of the user's makes. Success counts as delivered:
 * what that means is the exporter's own matter. Always holds: one `send` is one `export`; an exporter that throws, reports
 * a failure or does not answer in time is tried again with the same records, unless its error says that they are
 * refused as they are. It cannot name those that it refuses: halving finds them.
 */

import type { LogRecordExporter } from '@opentelemetry/sdk-logs'
import { AuditError, errorText } from '../errors.ts'
import { attempt } from './attempt.ts'
import type { Destination } from './destination.ts'
import { toLogRecords } from './log-records.ts'
import { loadModule } from './optional-module.ts'
import type { ExporterDestinationOptions } from './options.ts'

const timeoutMsDefault = 30_000
/** `ExportResultCode.SUCCESS` of OpenTelemetry. */
const success = 0
/** HTTP's words for a request that is refused as it is, and INVALID_ARGUMENT of gRPC. */
const refusals: readonly unknown[] = [400, 413, 422, 3]

type ExportResult = Parameters<Parameters<LogRecordExporter['export']>[1]>[0]

/** A destination that hands each batch to an exporter. Rejects with AuditError when the module or its export is none. */
export async function createExporterDestination(options: ExporterDestinationOptions): Promise<Destination> {
  const exporter = await makeExporter(options)
  const timeoutMs = options.timeoutMs ?? timeoutMsDefault
  return {
    name: options.name ?? 'exporter',
    async send({ records }, signal) {
      try {
        const result = await attempt({ signal, timeoutMs }, (limited) =>
          exportOnce(exporter, toLogRecords(records), limited),
        )
        if (result.code === success) return { status: 'delivered' }
        const reason = `${options.module}: ${describeFailure(result)}`
        return isRefusal(result) ? { status: 'rejected', reason } : { status: 'retry', reason }
      } catch (thrown) {
        return { status: 'retry', reason: signal.aborted ? 'stopped' : `${options.module}: ${errorText(thrown)}` }
      }
    },
    async close() {
      await exporter.shutdown().catch(() => {}) // it holds nothing of ours: what was not delivered is sent again
    },
  }
}

function exportOnce(
  exporter: LogRecordExporter,
  records: ReturnType<typeof toLogRecords>,
  signal: AbortSignal,
): Promise<ExportResult> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true })
    exporter.export(records, resolve)
  })
}

/** The contract has an error and no more. OpenTelemetry's exporters put the status that they got into its `code`. */
function isRefusal({ error }: ExportResult): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  return refusals.includes(code)
}

function describeFailure({ error }: ExportResult): string {
  return error === undefined ? 'the exporter reports a failure without a reason' : errorText(error)
}

async function makeExporter({
  module,
  export: name,
  options = {},
}: ExporterDestinationOptions): Promise<LogRecordExporter> {
  const loaded = await loadModule(module)
  const maker = name === undefined ? (loaded.default ?? loaded.createExporter) : loaded[name]
  const made: unknown = typeof maker === 'function' ? await make(maker, options) : maker
  if (isExporter(made)) return made
  const what = name ?? 'default, and createExporter,'
  throw new AuditError('INVALID_OPTION', `${what} of ${module} makes no LogRecordExporter`, {
    setting: 'destinations.exporter.export',
    hint: 'Name an export that is such a class, or a function that returns one: an object with export() and shutdown().',
  })
}

type Maker = ((options: unknown) => unknown) & (new (options: unknown) => unknown)

function make(maker: unknown, options: unknown): unknown {
  const given = maker as Maker
  return isExporter(given.prototype) ? new given(options) : given(options)
}

function isExporter(value: unknown): value is LogRecordExporter {
  const { export: exports, shutdown } = (value ?? {}) as Partial<LogRecordExporter>
  return typeof exports === 'function' && typeof shutdown === 'function'
}
