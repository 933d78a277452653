/**
 * Decisions of people about what a program is going to do: what was decided on is fixed by a digest, and compared when
 * it is carried out. Always holds: what differs from what was approved is told as `approval.mismatch`, outcome `denied`.
 */

import { createHash } from 'node:crypto'
import { canonicalize, type JsonValue } from '../event/canonical.ts'
import type { AuditEvent } from '../event/event.ts'
import type { Emits } from './emits.ts'

export interface ApprovalRequest {
  /** What is decided on: JSON of any kind (a plan, a patch, a command). It is never recorded, its digest is. */
  readonly what: unknown
  readonly approver: string
  readonly decision: 'approve' | 'reject'
  readonly reason?: string | undefined
  readonly target?: AuditEvent['target']
}

/** A decision, to be kept with what waits for it. Plain JSON: it may go through a queue. */
export interface Approval {
  readonly decision: 'approve' | 'reject'
  readonly approver: string
  /** SHA-256 of what was decided on. */
  readonly digest: string
}

/** SHA-256 of the canonical JSON (RFC 8785) of a value; of a text or bytes as they are. */
export function digestOf(what: unknown): string {
  const bytes = typeof what === 'string' || what instanceof Uint8Array ? what : canonicalize(toJson(what))
  return createHash('sha256').update(bytes).digest('hex')
}

/** Records a decision (`approval.decision`) and returns it with the digest of what it is about. */
export function recordApproval(audit: Emits, request: ApprovalRequest): Approval {
  const { what, approver, decision, reason, target } = request
  const digest = digestOf(what)
  audit.emit({
    action: 'approval.decision',
    operation: 'approve',
    actor: { type: 'user', id: approver },
    outcome: decision === 'approve' ? 'success' : 'denied',
    ...(reason === undefined ? {} : { reason }),
    ...(target === undefined ? {} : { target }),
    details: { approval_required: true, approver, decision, digest },
  })
  return { decision, approver, digest }
}

/** Whether a decision lets exactly this happen. If not, that is recorded (`approval.mismatch`), and it must not. */
export function checkApproval(
  audit: Emits,
  approval: Approval | undefined,
  { what, target }: Pick<ApprovalRequest, 'what' | 'target'>,
): boolean {
  const digest = digestOf(what)
  const reason = whyNot(approval, digest)
  if (reason === undefined) return true
  audit.emit({
    action: 'approval.mismatch',
    operation: 'execute',
    outcome: 'denied',
    reason,
    ...(target === undefined ? {} : { target }),
    details: { approver: approval?.approver, approved: approval?.digest, found: digest },
  })
  return false
}

function whyNot(approval: Approval | undefined, digest: string): string | undefined {
  if (approval === undefined) return 'not approved'
  if (approval.decision !== 'approve') return 'rejected'
  return approval.digest === digest ? undefined : 'not what was approved'
}

/** As it would be sent: what JSON does not know is left out. */
function toJson(value: unknown): JsonValue {
  return JSON.parse(JSON.stringify(value) ?? 'null') as JsonValue
}
