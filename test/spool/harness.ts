/** A spool on a real directory, driven by hand: the application thread's part and the sync thread's, in one thread. */

import { generateKeyPairSync } from 'node:crypto'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { signerFromPem } from '../../src/chain/keys.ts'
import { diskFiles, type Files } from '../../src/spool/files.ts'
import { Positions } from '../../src/spool/positions.ts'
import { SpoolReader } from '../../src/spool/reader.ts'
import { type Recovered, recoverSpool } from '../../src/spool/recover.ts'
import type { RetentionStart } from '../../src/spool/retention.ts'
import type { SyncMessage } from '../../src/spool/sync-message.ts'
import { Syncer } from '../../src/spool/syncer.ts'
import { SpoolWriter } from '../../src/spool/writer.ts'

const { privateKey } = generateKeyPairSync('ed25519')
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
export const signer = signerFromPem(pem, 'test')

export function freshDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-spool-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A copy, as another host or a backup would have it. */
export function copyOf(t: TestContext, directory: string): string {
  const copy = freshDirectory(t)
  cpSync(directory, copy, { recursive: true })
  return copy
}

/** A record that is as much as the spool asks of one: JSON with a `recorded`. */
export function recordText(name: string, bytes = 0): string {
  return JSON.stringify({ name, pad: 'x'.repeat(bytes), recorded: '2026-11-22T00:00:00.000000000Z' })
}

export interface Driven {
  readonly directory: string
  readonly recovered: Recovered
  readonly positions: Positions
  readonly writer: SpoolWriter
  readonly syncer: Syncer
  readonly messages: SyncMessage[]
  append(...names: string[]): void
  /** What any reader may see. */
  durableNames(): string[]
}

export interface DrivenOptions extends RetentionStart {
  readonly boot?: string
  readonly segmentBytesMax?: number
  readonly deployment?: string
  readonly destinations?: readonly string[]
  readonly unsyncedBytesMax?: number
  /** The disk as the sync thread sees it. */
  readonly files?: Files
  /** The disk as the application thread sees it. */
  readonly writerFiles?: Files
  /** The disk as recovery sees it. */
  readonly recoveryFiles?: Files
}

/** Opens as `Spool.open` does, without the lock and without threads. Dropping it is a SIGKILL. */
export function openDriven(directory: string, options: DrivenOptions = {}): Driven {
  const { boot = 'boot-1', deployment = 'test', destinations, files = diskFiles, writerFiles = diskFiles } = options
  const { recoveryFiles = diskFiles } = options
  const recovered = recoverSpool(recoveryFiles, { directory, deployment, bootId: boot, destinations })
  const { state, segment, superseded } = recovered
  const positions = new Positions()
  positions.reset(state.watermark)
  const nextSequence = state.watermark.nextSequence
  const writer = new SpoolWriter(writerFiles, positions, { ...options, directory, segment, nextSequence })
  const messages: SyncMessage[] = []
  const start = { ...options, directory, memory: positions.memory, state, segment, superseded }
  const syncer = new Syncer(files, start, { signer, post: (message) => messages.push(message) })
  return {
    directory,
    recovered,
    positions,
    writer,
    syncer,
    messages,
    append: (...names) => {
      for (const name of names) writer.append(recordText(name), { flags: 0 })
    },
    durableNames: () => readNames(new SpoolReader(diskFiles, directory, () => positions.durable())),
  }
}

/** Closes as `Audit.close` does. */
export function closeDriven(driven: Driven): void {
  driven.positions.requestFinish()
  driven.syncer.cycle()
  driven.writer.append(recordText('checkpoint'), { flags: 1 })
  driven.positions.acknowledgeCheckpoint()
  driven.positions.requestStop()
  driven.syncer.run()
}

export function readNames(reader: SpoolReader): string[] {
  const names: string[] = []
  for (;;) {
    const records = reader.next({ records: 7, bytes: 1_000_000 })
    if (records.length === 0) break
    for (const record of records) names.push((JSON.parse(record.bytes.toString()) as { name: string }).name)
  }
  reader.close()
  return names
}

export function names(from: number, to: number, prefix = 'r'): string[] {
  return Array.from({ length: to - from }, (_, index) => `${prefix}${from + index}`)
}
