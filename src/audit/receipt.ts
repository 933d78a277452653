/**
 * What `emit` returns. `durable` is made only when somebody looks at it, and is caught beforehand, so that a receipt
 * nobody looks at costs nothing and can never end the process. Sequence and hash are provisional until it resolves.
 */

import { AuditError, type AuditErrorCode } from '../errors.ts'

/** The record is in the spool: it survives SIGKILL. `durable` resolves when it survives power loss. */
export interface WrittenReceipt {
  readonly status: 'written'
  readonly id: string
  readonly stream: string
  readonly sequence: number
  /** Leaf hash of the record, 64 hex digits. */
  readonly hash: string
  readonly durable: Promise<void>
}

/** Policy did not want the event; `rule` says which part of it. `durable` is resolved. */
export interface SuppressedReceipt {
  readonly status: 'suppressed'
  readonly rule: string
  readonly durable: Promise<void>
}

/** The spool could not take the record; it went to standard error as one NDJSON line. `durable` rejects. */
export interface EmergencyReceipt {
  readonly status: 'emergency'
  readonly reason: string
  readonly durable: Promise<void>
}

/** The event stands in the caller's transaction, and with it in the trail or nowhere. */
export interface EnlistedReceipt {
  readonly status: 'enlisted'
  /** Of the record that it becomes. */
  readonly id: string
}

export type Receipt = WrittenReceipt | SuppressedReceipt | EmergencyReceipt

/** Where a written record stands. */
export interface WrittenRecord {
  readonly id: string
  readonly stream: string
  readonly sequence: number
  readonly hash: string
}

export class Written implements WrittenReceipt {
  readonly status = 'written'
  readonly id: string
  readonly stream: string
  readonly sequence: number
  readonly hash: string
  readonly #wait: (place: WrittenRecord) => Promise<void>
  #durable: Promise<void> | undefined

  constructor(record: WrittenRecord, wait: (place: WrittenRecord) => Promise<void>) {
    this.id = record.id
    this.stream = record.stream
    this.sequence = record.sequence
    this.hash = record.hash
    this.#wait = wait
  }

  get durable(): Promise<void> {
    this.#durable ??= caught(this.#wait(this))
    return this.#durable
  }
}

const resolved = Promise.resolve()

export function suppressed(rule: string): SuppressedReceipt {
  return { status: 'suppressed', rule, durable: resolved }
}

/** Why an event went to standard error, in words and as the code of the error that `durable` rejects with. */
export interface EmergencyCause {
  readonly reason: string
  readonly code: Extract<AuditErrorCode, 'SPOOL_FULL' | 'SPOOL_FAILED' | 'CLOSED'>
}

export class Emergency implements EmergencyReceipt {
  readonly status = 'emergency'
  readonly reason: string
  readonly #code: EmergencyCause['code']
  #durable: Promise<void> | undefined

  constructor({ reason, code }: EmergencyCause) {
    this.reason = reason
    this.#code = code
  }

  get durable(): Promise<void> {
    const hint = 'The event went to standard error; audit.state and docs/operations.md say what to do.'
    this.#durable ??= caught(Promise.reject(new AuditError(this.#code, this.reason, { hint })))
    return this.#durable
  }
}

function caught(promise: Promise<void>): Promise<void> {
  promise.catch(() => {}) // observed here, so that only those who await it hear of it
  return promise
}
