/** A trail that keeps its events in a list. */

import type { Receipt } from '../../src/audit/receipt.ts'
import type { AuditEvent } from '../../src/event/event.ts'
import type { Emits } from '../../src/instrument/emits.ts'

export interface ListedEvents extends Emits {
  readonly events: AuditEvent[]
}

/** `receiptOf` decides what becomes of each; by default it is written. */
export function listedEvents(receiptOf: (event: AuditEvent) => Partial<Receipt> = () => ({})): ListedEvents {
  const events: AuditEvent[] = []
  return {
    events,
    correlationId: 'the correlation',
    emit(event) {
      events.push(event)
      return { status: 'written', ...receiptOf(event) } as Receipt
    },
  }
}
