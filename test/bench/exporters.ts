/** OpenTelemetry's OTLP/HTTP exporters for log records. */

import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPExporterBase } from '@opentelemetry/otlp-exporter-base'
import { convertLegacyHttpOptions, createOtlpHttpExportDelegate } from '@opentelemetry/otlp-exporter-base/node-http'
import { LogsExporterMetricsHelper, ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer'
import type { LogRecordExporter } from '@opentelemetry/sdk-logs'

export function createJsonExporter(sink: string): LogRecordExporter {
  return new OTLPLogExporter({ url: `${sink}/v1/logs` })
}

/** What the package `exporter-logs-otlp-proto` is, put together from the parts that are installed. */
export function createProtobufExporter(sink: string): LogRecordExporter {
  const headers = { 'Content-Type': 'application/x-protobuf' }
  const options = convertLegacyHttpOptions({ url: `${sink}/v1/logs` }, 'LOGS', 'v1/logs', headers)
  const metrics = ['otlp_http_log_exporter', LogsExporterMetricsHelper, undefined] as const
  return new OTLPExporterBase(createOtlpHttpExportDelegate(options, ProtobufLogsSerializer, ...metrics))
}
