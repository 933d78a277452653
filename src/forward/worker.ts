/**
 * Entry of the worker threads, told apart by `workerData.role`. `sync` makes records durable (`spool/syncer.ts`):
 * it blocks its thread and loads nothing of the network. `deliver` runs one forwarder per destination; `sequence`
 * seals the outbox of a database, `witness` has checkpoints cosigned, `anchor` puts one elsewhere. Published as
 * `otel-audit/worker`, so that a bundler can be pointed at it.
 */

import { isMainThread, type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { signerFromPem } from '../chain/keys.ts'
import type { Signer } from '../chain/note.ts'
import type { SequencingStart } from '../postgres/sequencing-thread.ts'
import { diskFiles } from '../spool/files.ts'
import type { SyncerStart, SyncMessage } from '../spool/sync-message.ts'
import { SyncTimes, timeSyncs } from '../spool/sync-times.ts'
import { runSyncer, Syncer } from '../spool/syncer.ts'
import { uncachedFiles } from '../spool/uncached.ts'
import type { VerificationStart } from '../verify/scheduled.ts'
import type { AnchoringStart } from '../witness/anchoring-thread.ts'
import type { WitnessingStart } from '../witness/client-thread.ts'
import type { DeliveryStart } from './delivery.ts'
import { giveWay } from './give-way.ts'
import type { SignerOptions } from './signing-thread.ts'

export interface SigningKey {
  /** Empty where somebody else signs: what leaves then has a signature that is none, to be replaced. */
  readonly pem: string
  readonly name: string
}

/** What the sync thread is started with. */
export interface SyncRole {
  readonly role: 'sync'
  readonly start: SyncerStart
  /** The key that the opening thread has read: one that is rotated meanwhile signs from the next opening on. */
  readonly key: SigningKey
  /** Where durations of syncs are counted. */
  readonly syncTimes?: SharedArrayBuffer | undefined
}

/** What the delivery thread is started with. */
export interface DeliverRole {
  readonly role: 'deliver'
  readonly start: DeliveryStart
}

/** What the sequencer's thread is started with. */
export interface SequenceRole {
  readonly role: 'sequence'
  readonly start: SequencingStart
}

/** What a thread that verifies the spool is started with. */
export interface VerifyRole {
  readonly role: 'verify'
  readonly start: VerificationStart
}

/** What the thread that asks witnesses is started with. */
export interface WitnessRole {
  readonly role: 'witness'
  readonly start: WitnessingStart
}

/** What a thread that anchors a checkpoint is started with. */
export interface AnchorRole {
  readonly role: 'anchor'
  readonly start: AnchoringStart
}

/** What the thread that asks an outside signer is started with. */
export interface SignRole {
  readonly role: 'sign'
  readonly start: SignerOptions
}

export type WorkerRole = SyncRole | DeliverRole | SequenceRole | VerifyRole | WitnessRole | AnchorRole | SignRole

if (!isMainThread && parentPort !== null) {
  const port = parentPort
  const role = workerData as WorkerRole
  if (role.role === 'sync') {
    const post = (message: SyncMessage) => port.postMessage(message)
    const files = timeSyncs(diskFiles, new SyncTimes(role.syncTimes))
    const { name, pem } = role.key
    const signer = () => (pem === '' ? nobody(name) : signerFromPem(pem, name))
    const make = () => new Syncer(files, role.start, { signer: signer(), post, scrubFiles: uncachedFiles })
    runSyncer(make, post)
  } else if (role.role === 'sequence') {
    void import('../postgres/sequencing-thread.ts').then(({ runSequencing }) => runSequencing(role.start, port))
  } else if (role.role === 'verify') {
    void giveWay('verification').then(() => startVerification(role.start, port))
  } else if (role.role === 'sign') {
    void import('./signing-thread.ts').then(({ runSigning }) => runSigning(role.start, port))
  } else if (role.role === 'anchor') {
    void import('../witness/anchoring-thread.ts').then(({ runAnchoring }) => runAnchoring(role.start, port))
  } else if (role.role === 'witness') {
    void import('../witness/client-thread.ts').then(({ runWitnessing }) => runWitnessing(role.start, port))
  } else {
    void import('./delivery.ts').then(({ runDelivery }) => runDelivery(role.start, port))
  }
}

async function startVerification(start: VerificationStart, port: MessagePort): Promise<void> {
  const { runVerification } = await import('../verify/scheduled.ts')
  await runVerification(start, port)
}

/** Holds the place of a signature. */
function nobody(name: string): Signer {
  return { name, keyId: '00000000', verifierKey: '', sign: () => Buffer.alloc(64) }
}
