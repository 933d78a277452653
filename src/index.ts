/** The public face of otel-audit: what a program uses, and the types of what the command line prints with `--json`. */

export { Audit } from './audit/audit.ts'
export type { Carrier, CarrierForm } from './audit/carry.ts'
export type { AuditContext } from './audit/context.ts'
export { type CataloguedAudit, createAudit, createAuditFromEnv } from './audit/create.ts'
export type { EffectiveSetting } from './audit/effective.ts'
export type { AuditBindings, BoundAudit, RunOptions } from './audit/emission.ts'
export type { HealthServer } from './audit/health-server.ts'
export type { MetricsRegistry } from './audit/metric.ts'
export type { ServeOptions } from './audit/observation.ts'
export type { AuditOptions, Profile } from './audit/options.ts'
export type { Problem as ConfigProblem } from './audit/problem.ts'
export { AuditLogRecordProcessor } from './audit/processor.ts'
export type { EmergencyReceipt, EnlistedReceipt, Receipt, SuppressedReceipt, WrittenReceipt } from './audit/receipt.ts'
export type { ReloadReport, ReloadSource } from './audit/reload.ts'
export type { AuditSpoolState, AuditState } from './audit/state.ts'
export type { TransactionAudit } from './audit/tx.ts'
export type { AnchorReport } from './cli/anchor.ts'
export type { ArchiveReport } from './cli/archive.ts'
export type { AllowedTrap, CollectorReport, CollectorTrap } from './cli/collector/traps.ts'
export type { ConfigCheck, ConfigPrint, ProfileRequirement } from './cli/config.ts'
export type { DatabaseReport } from './cli/doctor-postgres.ts'
export type { EraseReport } from './cli/erase.ts'
export type { ForwardLine } from './cli/forward.ts'
export type { JournalLine } from './cli/forward-journal.ts'
export type { HoldReport } from './cli/hold.ts'
export type { KeyReport } from './cli/key.ts'
export type { KeyListReport, KeyRotationReport } from './cli/key-rotate.ts'
export type { MigrateReport } from './cli/migrate.ts'
export type { PolicyTest, PolicyTestExample, PolicyTestRule } from './cli/policy-replay.ts'
export type { PseudonymLookup, PseudonymPlace } from './cli/pseudonym.ts'
export type { QuarantineList } from './cli/quarantine-look.ts'
export type { QuarantineResolution } from './cli/quarantine-resolve.ts'
export type { QuarantineRun } from './cli/quarantine-runs.ts'
export type { ResendReport } from './cli/reconcile.ts'
export type { Resend } from './cli/reconcile-resend.ts'
export type { RetainReport, RetainStatus } from './cli/retain.ts'
export type { RecordSchema } from './cli/schema-document.ts'
export type { SpoolCheck, SpoolFinding } from './cli/spool-check.ts'
export type { SpoolDestinations } from './cli/spool-destination.ts'
export type { SpoolRepair } from './cli/spool-repair.ts'
export type { SpoolDestination, SpoolStatus } from './cli/spool-status.ts'
export type { TriggerScript } from './cli/trigger.ts'
export type { WitnessListening } from './cli/witness.ts'
export type { DestinationOptions } from './destination/destination.ts'
export type {
  ClickhouseDestinationOptions,
  ExporterDestinationOptions,
  FileDestinationOptions,
  HttpDestinationOptions,
  HttpFormat,
  OtlpDestinationOptions,
  PostgresDestinationOptions,
  S3DestinationOptions,
  StdoutDestinationOptions,
  SyslogDestinationOptions,
  TlsFiles,
} from './destination/options.ts'
export {
  verifyWebhook,
  type WebhookCheck,
  type WebhookCheckOptions,
  type WebhookHeaders,
} from './destination/webhook.ts'
export { AuditError, type AuditErrorCode } from './errors.ts'
export {
  type ActionDefaults,
  type ActionDefinition,
  type ActionDefinitions,
  type Catalogue,
  defineActions,
  type Upcast,
} from './event/catalogue.ts'
export type { OnInvalid } from './event/catalogue-check.ts'
export type { EventOf } from './event/catalogued-event.ts'
export { classifyError, classifyStatus } from './event/error-class.ts'
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
export type { RecordMembers } from './event/record.ts'
export type { StandardSchemaV1 } from './event/standard-schema.ts'
export { type ReadingProblem, type RecordReading, readRecord, upcastRecord } from './event/upcast.ts'
export type { AdoptedSlot } from './forward/adopt.ts'
export type { JournalState } from './forward/journal.ts'
export type { SidecarState } from './forward/sidecar.ts'
export type { ForwarderState } from './forward/standing.ts'
export { type Approval, type ApprovalRequest, checkApproval, digestOf, recordApproval } from './instrument/approval.ts'
export { type AuditCallsOptions, auditCalls, type CallDescription, type CallDescriptions } from './instrument/calls.ts'
export { CallCoverage, type Uncovered } from './instrument/coverage.ts'
export type { Emits } from './instrument/emits.ts'
export { type AuditFetchOptions, auditFetch, templateOf } from './instrument/fetch.ts'
export { auditModelCall, type ModelCall, type ModelMeasure } from './instrument/model.ts'
export {
  type AuthenticateWebhook,
  auditWebhooks,
  type WebhookAuthentication,
  type WebhookAuthOptions,
  type WebhookRejection,
  type WebhookRequest,
} from './instrument/webhook.ts'
export type { WebhookScheme } from './instrument/webhook-schemes.ts'
export type { Level } from './policy/level.ts'
export { redactRemoteAddr, redactText, type TextRedaction } from './policy/redact-text.ts'
export type {
  PersonalPointer,
  RedactionMode,
  RedactionOptions,
  RedactionPointer,
  RedactionRule,
} from './policy/redaction/options.ts'
export type { PolicyRule } from './policy/rules.ts'
export type { TransactionClient } from './postgres/outbox.ts'
export type { SequencerState } from './postgres/sequencing.ts'
export type {
  CopyComparison,
  CopyReading,
  DifferentRecord,
  Listed,
  Reconciliation,
  SequenceRange,
} from './verify/reconcile.ts'
export type { Finding, Report, SourceReport, StreamReport, Verdict } from './verify/report.ts'
