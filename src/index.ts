/** The public face of otel-audit. */

export { Audit, type AuditState, createAudit } from './audit/audit.ts'
export type { AuditOptions } from './audit/config.ts'
export type { AuditContext } from './audit/context.ts'
export { AuditLogRecordProcessor } from './audit/processor.ts'
export type { EmergencyReceipt, Receipt, SuppressedReceipt, WrittenReceipt } from './audit/receipt.ts'
export type {
  DestinationOptions,
  FileDestinationOptions,
  OtlpDestinationOptions,
  PostgresDestinationOptions,
  StdoutDestinationOptions,
} from './destination/destination.ts'
export { AuditError, type AuditErrorCode } from './errors.ts'
export type {
  Actor,
  ActorType,
  AuditEvent,
  ErrorClass,
  EventError,
  Operation,
  Outcome,
  RequestMetadata,
  Target,
  TraceReference,
} from './event/event.ts'
export type { ForwarderState } from './forward/forwarder.ts'
export type { Level } from './policy/level.ts'
