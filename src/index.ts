/**
 * The public face of the package: what may be imported from `otel-audit`, and nothing else.
 * No other file re-exports.
 */

export { AuditError, type AuditErrorCode, type AuditErrorDetails } from './errors.ts'
