/** What instrumentation asks of a trail: an `Audit`, or a `child` of one. */

import type { Receipt } from '../audit/receipt.ts'
import type { AuditEvent } from '../event/event.ts'

export interface Emits {
  /** What joins an event that is emitted here to others. */
  readonly correlationId: string
  emit(event: AuditEvent): Receipt
}
