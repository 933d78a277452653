/** The public LogRecordProcessor: audit for records of a `LoggerProvider` that the user owns. */

import { SealingLogRecordProcessor } from '../otel/processor.ts'
import { Audit } from './audit.ts'
import { createAudit } from './create.ts'
import type { AuditOptions } from './options.ts'

/**
 * Takes audit records (those with the attribute `audit.action`) out of the user's own `LoggerProvider`, on an open
 * trail or with options to open one. Place it first: later processors then see what the trail has, and no more.
 * What the SDK drops before any processor it cannot see; `audit.emit` has a provider of its own for that reason.
 * Shutting it down closes the trail.
 */
export class AuditLogRecordProcessor extends SealingLogRecordProcessor {
  readonly audit: Audit

  /** Throws what `createAudit` throws. */
  constructor(auditOrOptions: Audit | AuditOptions) {
    const audit = auditOrOptions instanceof Audit ? auditOrOptions : createAudit(auditOrOptions)
    super(audit)
    this.audit = audit
  }
}
