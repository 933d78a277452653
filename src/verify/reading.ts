/**
 * The state of reading one source: its streams so far, and what fits in none of them. Filled by `verify.ts`,
 * closed by `conclude.ts`.
 */

import type { Verifier } from '../chain/note.ts'
import { Cosignatures } from './cosignatures.ts'
import { Erasures } from './erasures.ts'
import { FindingLog } from './finding-log.ts'
import { KeyRing } from './key-ring.ts'
import { LeafShelf } from './leaf-shelf.ts'
import type { Misfit } from './misfits.ts'
import { Prunes } from './prunes.ts'
import type { Unreadable } from './report.ts'
import type { KeptCheckpoint } from './since.ts'
import type { Head, Source } from './source.ts'
import type { StreamVerifier } from './stream.ts'
import { isValidAt, type TrustFile } from './trust.ts'

export interface VerifyOptions {
  /** The keys to believe. Without any, nothing is proven: every stream is UNANCHORED. */
  readonly verifiers: readonly Verifier[]
  /** What is trusted of those keys, and which streams; everything that the keys sign, unless given. */
  readonly trust?: TrustFile | undefined
  /** Believes the key that the first record of a stream names, where none of that name is trusted. */
  readonly isFirstUse?: boolean | undefined
  /** Takes UNANCHORED for an observation. */
  readonly allowUnanchored?: boolean | undefined
  /** Takes a stream's missing beginning, and missing predecessors, for known: a rotated file, a late destination. */
  readonly allowPartial?: boolean | undefined
  /** Checkpoints kept from earlier: every stream that they name must begin with them. */
  readonly since?: readonly KeptCheckpoint[] | undefined
  /** Called after each group of records that was read. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

export interface Progress {
  readonly source: string
  readonly records: number
}

/** Everything read of one source, before it is concluded. */
export interface Reading {
  readonly source: Source
  readonly options: VerifyOptions
  readonly log: FindingLog
  readonly shelf: LeafShelf
  readonly ring: KeyRing
  readonly streams: Map<string, StreamVerifier>
  readonly misfits: Misfit[]
  readonly unreadable: Unreadable[]
  heads: readonly Head[]
  readonly cosignatures: Cosignatures
  readonly prunes: Prunes
  readonly erasures: Erasures
  records: number
  /** The stream of the record read last, and where it stood. */
  lastStream: string | undefined
  lastPosition: number
}

export function beginReading(source: Source, options: VerifyOptions): Reading {
  const log = new FindingLog(source.name)
  return {
    source,
    options,
    log,
    shelf: new LeafShelf(),
    prunes: new Prunes(source.name, log),
    erasures: new Erasures(source, log),
    cosignatures: new Cosignatures(options.trust?.witnesses, options.since ?? []),
    ring: new KeyRing(options.verifiers, {
      isValidAt: (key, recorded) => isValidAt(options.trust?.keys ?? [], key, recorded),
      isFirstUse: options.isFirstUse ?? false,
    }),
    streams: new Map(),
    misfits: [],
    unreadable: [],
    heads: [],
    records: 0,
    lastStream: undefined,
    lastPosition: -1,
  }
}
