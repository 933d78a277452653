/** What the sync thread is started with, what it says, and who hears it. */

import type { CheckpointDetails } from '../chain/checkpoint.ts'
import type { Signer } from '../chain/note.ts'
import type { ControlState } from './control.ts'
import type { Files } from './files.ts'
import type { RetentionStart } from './retention.ts'
import type { ScrubFinding } from './scrub.ts'
import type { OpenSegment } from './segment.ts'
import type { SpoolState } from './state.ts'

export interface SyncerStart extends RetentionStart {
  readonly directory: string
  readonly memory: SharedArrayBuffer
  /** Control as recovery wrote it. */
  readonly state: ControlState
  readonly segment: OpenSegment
  readonly superseded: readonly number[]
  /** What `lock` named when it was taken; another file there later means another writer. */
  readonly lockIdentity?: string | undefined
}

/** What the sync thread has of its own. */
export interface SyncerContext {
  readonly signer: Signer
  readonly post: (message: SyncMessage) => void
  /** How the scrub reads; default as everything else. */
  readonly scrubFiles?: Files
}

/** What the sync thread tells the application thread. */
export type SyncMessage =
  | { readonly kind: 'durable'; readonly stream: string; readonly nextSequence: number }
  /** A signed checkpoint, to be sealed as a record and acknowledged. */
  | {
      readonly kind: 'checkpoint'
      readonly stream: string
      readonly size: number
      readonly details: CheckpointDetails
    }
  /** After a finish request: everything written is durable, and covered but for the last checkpoint record. */
  | { readonly kind: 'covered' }
  /** A rescue waits to be filled. */
  | { readonly kind: 'rescue' }
  | { readonly kind: 'state'; readonly state: SpoolState; readonly reason: string }
  /** The spool has passed 70 % of its budget. */
  | { readonly kind: 'filling'; readonly bytes: number }
  /** The scrub has found damage in what was durable. */
  | { readonly kind: 'rot'; readonly finding: ScrubFinding }
  /** A broken invariant: the thread has ended and nothing becomes durable any more. */
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'stopped' }

/** The sync thread, seen from the application thread. */
export interface SyncThread {
  /** Keeps the process alive while somebody waits, and only then. */
  setReferenced(referenced: boolean): void
}

/** Who hears of the spool. */
export interface SpoolListener {
  /** To be sealed as a record. */
  checkpoint(details: CheckpointDetails, size: number): void
  /** The state has changed, or the spool has passed 70 % of its budget. */
  changed(): void
  /** The scrub has found damage in what was durable. */
  rotten(finding: ScrubFinding): void
}
