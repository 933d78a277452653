/**
 * Emission into the caller's own database transaction: policy, catalogue and redaction run here, as for `emit`, and what
 * is left of the event goes into `audit.outbox` in one statement. The caller's transaction decides its fate: rolled
 * back, there was no event; committed, a sequencer seals it. Nothing here begins, commits or takes a lock.
 */

import { formatTimestamp, nowMs } from '../clock.ts'
import { AuditError } from '../errors.ts'
import type { JsonObject } from '../event/canonical.ts'
import type { ActionName, Emitted } from '../event/catalogued-event.ts'
import { FilledEvent } from '../event/convert.ts'
import { newRecordId } from '../event/record-id.ts'
import { encodeEnlisted } from '../postgres/enlisted.ts'
import { insertEvent, type TransactionClient } from '../postgres/outbox.ts'
import { currentTrace } from './context.ts'
import type { EnlistedReceipt, SuppressedReceipt } from './receipt.ts'
import { suppressed } from './receipt.ts'
import type { Sealer } from './sealer.ts'

export interface TransactionParts {
  readonly client: TransactionClient
  readonly sealer: Pick<Sealer, 'admit' | 'isClosed'>
  readonly resource: JsonObject | undefined
  /** Fills what an event lacks. */
  readonly bindings?: Readonly<Record<string, unknown>> | undefined
}

/** Emits in one transaction. Made by `audit.tx(client)`; costs nothing to make. */
export class TransactionAudit<Known = undefined> {
  readonly #parts: TransactionParts

  constructor(parts: TransactionParts) {
    // Said here and not by a TypeError at the first event: without TypeScript anything may be handed in.
    if (typeof (parts.client as Partial<TransactionClient> | null | undefined)?.query !== 'function') throw noClient()
    this.#parts = parts
  }

  /** The same transaction, with what events lack filled in: what `audit.child` binds. */
  child(bindings: Readonly<Record<string, unknown>>): TransactionAudit<Known> {
    return new TransactionAudit({ ...this.#parts, bindings })
  }

  /**
   * Enlists an event in the transaction that the client is in, under the id of the record that it becomes; policy may
   * not want it (`suppressed`, which is counted also when the transaction is rolled back). Rejects with the driver's
   * error when the insert fails: then let the transaction fail too, or the change is not audited.
   */
  async emit<const Action extends ActionName<Known>>(
    event: Emitted<Known, Action>,
  ): Promise<EnlistedReceipt | SuppressedReceipt> {
    const { client, sealer, resource, bindings } = this.#parts
    if (sealer.isClosed) throw closed()
    const given = bindings === undefined ? event : new FilledEvent(event, bindings)
    const admitted = sealer.admit(given, { trace: currentTrace(), resource })
    if (typeof admitted === 'string') return suppressed(admitted)
    const ms = nowMs()
    const id = newRecordId(ms)
    admitted.timestamp ??= formatTimestamp(ms) // when it happened; `recorded` will say when it was sealed
    await insertEvent(client, { id, event: encodeEnlisted(admitted) })
    return { status: 'enlisted', id }
  }
}

function closed(): AuditError {
  return new AuditError('CLOSED', 'audit is closed: the event was not enlisted', {
    hint: 'Close the trail after the last transaction has ended.',
  })
}

function noClient(): AuditError {
  return new AuditError('INVALID_OPTION', 'audit.tx was given no client: it has no function query(text, values)', {
    setting: 'tx(client)',
    hint: 'Hand in the client that your transaction runs on; docs/postgres.md shows it for several libraries.',
  })
}
