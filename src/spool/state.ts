/** How a spool is doing, and what it says when it cannot take a record. */

/**
 * `ok` · `failing`: the disk refused a write or a sync, and what is not durable is being written anew; records are
 * still taken · `full`: no room · `failed`: the disk refuses again and again: no record is taken until it heals.
 */
export type SpoolState = 'ok' | 'failing' | 'full' | 'failed'

export const spoolStates: readonly SpoolState[] = ['ok', 'failing', 'full', 'failed']

/** Why a record was not taken. `unsynced`: too much waits in memory for a slow disk. */
export type RefusalReason = 'full' | 'failing' | 'failed' | 'unsynced'

/** The spool did not take a record, and nothing of it counts. A value for the sealer, never seen by an application. */
export class SpoolRefusal extends Error {
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.reason = reason
  }
}

const noSpaceCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** Whether a system error says that there is no room: time may mend it, and nothing is broken. */
export function isNoSpace(thrown: unknown): boolean {
  return noSpaceCodes.has((thrown as { code?: string }).code ?? '')
}
