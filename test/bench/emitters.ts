/** The contenders of `emit` and `deliver`, by name. */

import { join } from 'node:path'
import { BatchLogRecordProcessor, LoggerProvider, type LogRecordExporter } from '@opentelemetry/sdk-logs'
import { type AuditEvent, createAudit } from '../../src/index.ts'
import { countExports } from './counted-exporter.ts'
import { batchRecords, type Emitter, type EmitterSetup, keepsNothing } from './emitter.ts'
import { createEvent, createLogRecord } from './event.ts'
import { createJsonExporter, createProtobufExporter } from './exporters.ts'
import { createFloorEmitter } from './floor.ts'

const queueMax = 2_048

export const emitters: Readonly<Record<string, (setup: EmitterSetup) => Emitter>> = {
  idle: createIdleEmitter,
  noop: createNoopEmitter,
  floor: createFloorEmitter,
  audit: createAuditEmitter,
  'batch-json': ({ sink }) => createBatchEmitter(createJsonExporter(sink)),
  'batch-protobuf': ({ sink }) => createBatchEmitter(createProtobufExporter(sink)),
}

/** The loop alone: what it costs is subtracted from everybody. */
function createIdleEmitter(): Emitter<AuditEvent> {
  const kept: { last?: AuditEvent } = {} // so that the compiler cannot leave the event out
  const emit = (event: AuditEvent): void => {
    kept.last = event
  }
  return { ...keepsNothing, create: createEvent, emit }
}

/** OpenTelemetry's logger in front of a processor that does nothing. */
function createNoopEmitter(): Emitter<ReturnType<typeof createLogRecord>> {
  const nothing = { onEmit() {}, forceFlush: () => Promise.resolve(), shutdown: () => Promise.resolve() }
  const logger = new LoggerProvider({ processors: [nothing] }).getLogger('bench')
  return { ...keepsNothing, create: createLogRecord, emit: (record) => logger.emit(record) }
}

function createAuditEmitter({ sink, directory }: EmitterSetup): Emitter<AuditEvent> {
  const audit = createAudit({
    service: 'bench',
    policy: { level: 'all' },
    spool: { directory: join(directory, 'spool') },
    keys: { signingKeyFile: join(directory, 'bench.key') },
    destinations: [{ type: 'otlp', endpoint: sink, batchRecordsMax: batchRecords }],
    closeTimeoutMs: 60_000,
  })
  return {
    create: createEvent,
    emit(event) {
      audit.emit(event)
    },
    room: () => undefined,
    settle: () => audit.flush(),
    async close() {
      await audit.close()
      if (audit.state.emergencies > 0) throw new Error(`${audit.state.emergencies} events did not reach the spool`)
      return audit.state.sequence
    },
  }
}

/**
 * The SDK's batch processor with its defaults. It drops without a word what its queue cannot take, so whoever emits
 * as fast as possible has to ask for room first.
 */
function createBatchEmitter(exporter: LogRecordExporter): Emitter<ReturnType<typeof createLogRecord>> {
  const counted = countExports(exporter)
  const processor = new BatchLogRecordProcessor({ exporter: counted, maxExportBatchSize: batchRecords })
  const provider = new LoggerProvider({ processors: [processor] })
  const logger = provider.getLogger('bench')
  let emitted = 0
  return {
    create: createLogRecord,
    emit(record) {
      emitted += 1
      logger.emit(record)
    },
    room: (events) => counted.whenExported(emitted + events - queueMax),
    settle: () => processor.forceFlush(),
    async close() {
      await provider.shutdown()
      return emitted
    },
  }
}
