/** What the verification of one stream is given. */

import type { FindingLog } from './finding-log.ts'
import type { KeyRing } from './key-ring.ts'
import type { LeafShelf } from './leaf-shelf.ts'
import type { Base } from './prunes.ts'
import type { KeptCheckpoint } from './since.ts'
import type { Source } from './source.ts'

export interface StreamContext {
  readonly source: Source
  /** The keys to believe; shared by the streams of one source. */
  readonly ring: KeyRing
  readonly log: FindingLog
  /** Shared by the streams of one source. */
  readonly shelf: LeafShelf
  /** Where it begins, when retention has removed what was before. */
  readonly base?: Base | undefined
  /** Checkpoints of any streams, kept outside the source. */
  readonly since?: readonly KeptCheckpoint[] | undefined
  /** For tests: how many records are waited for what is missing before them. */
  readonly windowRecordsMax?: number | undefined
}
