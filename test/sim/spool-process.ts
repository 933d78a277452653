/**
 * The process that writes a simulated spool: the application thread's part and the sync thread's, each with its own
 * view of the disk, put together as `Spool` and the sync thread do it. Seals records that really link.
 */

import assert from 'node:assert/strict'
import { leafHash } from '../../src/chain/hash.ts'
import type { Signer } from '../../src/chain/note.ts'
import { formatTimestamp, nowMs } from '../../src/clock.ts'
import type { Files } from '../../src/spool/files.ts'
import { checkpointFlag, disclosuresFlag } from '../../src/spool/format.ts'
import { Handover, type RunningReason } from '../../src/spool/handover.ts'
import { Positions } from '../../src/spool/positions.ts'
import { type Recovered, recoverSpool } from '../../src/spool/recover.ts'
import type { RetentionStart } from '../../src/spool/retention.ts'
import { openDirectory, unlinkSegments } from '../../src/spool/segment.ts'
import type { SyncMessage } from '../../src/spool/sync-message.ts'
import { Syncer } from '../../src/spool/syncer.ts'
import { SpoolWriter } from '../../src/spool/writer.ts'
import { DiskError, simDirectory } from './process.ts'
import type { SimRecord } from './trail.ts'

/** Signing costs more than the rest of a history, and no property looks at signatures. */
export const simSigner: Signer = {
  name: 'sim',
  keyId: '00000000',
  verifierKey: '',
  sign: () => Buffer.alloc(64),
}

export interface SpoolProcessOptions extends RetentionStart {
  readonly application: Files
  readonly sync: Files
  readonly bootId: string
  readonly machineId: string
  readonly destinations: readonly string[]
  readonly segmentBytesMax: number
  readonly unsyncedBytesMax?: number | undefined
}

/** What a record says besides its place in the chain. */
export interface RecordContents {
  readonly name: string
  readonly padBytes: number
  readonly attachment: string
  readonly isCheckpoint?: boolean
}

export class SpoolProcess {
  readonly recovered: Recovered
  readonly positions = new Positions()
  /** What the sync thread has said and the application has not heard yet. */
  readonly messages: SyncMessage[] = []
  readonly #handover = new Handover(this.positions.memory)
  readonly #writer: SpoolWriter
  readonly #syncer: Syncer
  #head: { stream: string; nextSequence: number; hash: string | undefined }
  #predecessor: { stream: string; sequence: number; hash: string | undefined } | undefined
  #isStreamWanted = false
  readonly #superseded: number[]
  readonly #syncFiles: Files

  /** Opens as the application does; throws what recovery throws. `check` runs before anything is written. */
  constructor(options: SpoolProcessOptions, check: (recovered: Recovered) => void) {
    const { application, sync, bootId, machineId, destinations } = options
    const directory = simDirectory
    const context = { directory, deployment: 'sim', bootId, machineId, destinations }
    this.recovered = recoverSpool(application, context)
    check(this.recovered)
    const { state, segment, superseded, predecessor } = this.recovered
    this.#superseded = [...superseded]
    this.#syncFiles = sync
    const { nextSequence, hash } = state.watermark
    this.#head = { stream: state.stream, nextSequence, hash }
    this.#predecessor = predecessor
    this.positions.reset(state.watermark)
    this.positions.setWaiting(true) // nobody lingers here
    this.#writer = new SpoolWriter(application, this.positions, { ...options, directory, segment, nextSequence })
    const start = { ...options, directory, memory: this.positions.memory, state, segment, superseded: [] }
    this.#syncer = new Syncer(sync, start, { signer: simSigner, post: (message) => void this.messages.push(message) })
  }

  /** The next record, sealed but not written. The first of a stream names what the stream follows. */
  seal({ name, padBytes, attachment, isCheckpoint = false }: RecordContents): SimRecord {
    const { stream, nextSequence, hash } = this.#head
    const recorded = formatTimestamp(nowMs())
    const follows = nextSequence === 1 && this.#predecessor !== undefined ? { predecessor: this.#opening() } : {}
    const members = { name, seq: nextSequence, prev: hash, recorded, ...follows, pad: 'x'.repeat(padBytes) }
    return { stream, sequence: nextSequence, text: JSON.stringify(members), attachment, isCheckpoint }
  }

  #opening() {
    const { stream, sequence, hash } = this.#predecessor ?? {}
    return { stream, sequence, hash }
  }

  /** Returns once the record is written; throws `SpoolRefusal`, and then it is not. */
  write(record: SimRecord, mayUseReserve: boolean): void {
    const attachment = Buffer.from(record.attachment)
    const flags = record.isCheckpoint ? checkpointFlag : attachment.length > 0 ? disclosuresFlag : 0
    const hash = this.#writer.append(record.text, { flags, mayUseReserve, attachment })
    assert.equal(hash, leafHash(record.text), 'append says the leaf hash of what it wrote')
    this.#head.hash = hash
    this.#head.nextSequence += 1
  }

  /** Does for the sync thread what only the application thread can. */
  takeRescue(): void {
    this.#writer.takeRescue()
  }

  wantStream(reason: RunningReason): void {
    if (this.#isStreamWanted) return
    this.#isStreamWanted = true
    this.#handover.wantStream(reason)
  }

  /** Goes over to the stream that was asked for, if it is there and everything before is durable. */
  enterStream(): void {
    if (!this.#isStreamWanted) return
    const stream = this.#writer.enterStream()
    if (stream === undefined) return
    const { stream: before, nextSequence, hash } = this.#head
    if (nextSequence > 1) this.#predecessor = { stream: before, sequence: nextSequence - 1, hash }
    this.#head = { stream, nextSequence: 1, hash: undefined }
    this.#isStreamWanted = false
  }

  /** One round of the sync thread. The first begins with what is superseded, as `Syncer.run` does. */
  sync(): void {
    if (this.#superseded.length > 0) this.#discard(this.#superseded.splice(0))
    this.#syncer.cycle()
  }

  #discard(segments: readonly number[]): void {
    const directory = openDirectory(this.#syncFiles, simDirectory)
    try {
      unlinkSegments(this.#syncFiles, directory, segments)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error // what is left is void and in nobody's way
    } finally {
      this.#syncFiles.close(directory.file)
    }
  }

  /** Stops the sync thread; after a finish request that was answered the spool is clean. */
  stop(): void {
    this.positions.requestStop()
    this.#syncer.run()
  }
}
