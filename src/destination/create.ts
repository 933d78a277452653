/** From options to a destination. The only place that knows every type; what a type needs is loaded with it. */

import type { Destination, DestinationHost, DestinationOptions } from './destination.ts'

/**
 * Creates the destination that `options` describe. Nothing is connected or opened yet. Rejects with AuditError for
 * settings that cannot be meant. Without a host nothing that must be sealed is done.
 */
export async function createDestination(options: DestinationOptions, host?: DestinationHost): Promise<Destination> {
  switch (options.type) {
    case 'otlp':
      return (await import('./otlp.ts')).createOtlpDestination(options)
    case 'postgres':
      return (await import('./postgres.ts')).createPostgresDestination(options)
    case 'file':
      return (await import('./file.ts')).createFileDestination(options, host)
    case 'stdout':
      return (await import('./stdout.ts')).createStdoutDestination(options)
    case 'http':
      return (await import('./http.ts')).createHttpDestination(options)
    case 'syslog':
      return (await import('./syslog.ts')).createSyslogDestination(options)
    case 's3':
      return (await import('./s3.ts')).createS3Destination(options)
    case 'clickhouse':
      return (await import('./clickhouse.ts')).createClickhouseDestination(options)
    case 'exporter':
      return (await import('./exporter.ts')).createExporterDestination(options)
  }
}
