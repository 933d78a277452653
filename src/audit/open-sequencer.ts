/** Starts the sequencer of the database that the configuration names, and says when it begins or ceases to fail. */

import { join } from 'node:path'
import type { PolicyInForce } from './admission.ts'
import type { AuditConfig } from './config.ts'
import { announce } from './notice.ts'
import type { Signing } from './signing.ts'
import { SequencerThread } from './threads.ts'

export interface SequencerSetting {
  readonly config: AuditConfig
  readonly worker: URL
  readonly inForce: PolicyInForce
  readonly signing: Signing
  /** The spool directory. */
  readonly directory: string
}

/** `undefined` where the configuration names no database. */
export function openSequencer({
  config,
  worker,
  inForce,
  signing,
  directory,
}: SequencerSetting): SequencerThread | undefined {
  const { outboxUrl, outboxStandbys: standbys, service, redact } = config
  if (outboxUrl === undefined) return undefined
  const start = {
    url: outboxUrl,
    directory: join(directory, 'journal'),
    key: { pem: signing.pem, name: signing.signer.name },
    rotations: signing.rotations,
    service,
    policy: { hash: inForce.policy.hash, level: inForce.policy.level },
    redact,
    standbys,
  }
  return new SequencerThread(worker, { role: 'sequence', start }, ({ condition, lastError, unconfirmed }) => {
    if (condition !== 'ok') announce(`the outbox of the database is not sealed: ${lastError}; its events stay there`)
    else if (unconfirmed !== undefined) announce(`the journal of the database is not signed: ${unconfirmed}`)
    else announce('the outbox of the database is sealed again')
  })
}
